//! What an Avro schema says about lengths, read before anything else is: how values are walked over (`avro_walk`), and how large the schema is
//! itself once names are replaced by what they stand for, as decoders do.

use serde_json::Value;
use std::collections::HashMap;

/// Types and values may be nested this deep.
pub(crate) const DEPTH: usize = 64;
/// Parts that a schema may have, with those of named types wherever they are named.
pub(crate) const MAX_PARTS: u64 = 10_000;

/// What a schema says about lengths: types that refer to each other by their place in a list.
#[derive(Debug)]
pub(crate) struct Shapes {
    pub(crate) all: Vec<Shape>,
    pub(crate) root: usize,
}

/// A type.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// So many bytes.
    Fixed(u64),
    /// A number of variable length.
    Varint,
    /// A length, then bytes.
    Bytes,
    Record(Vec<usize>),
    /// Blocks of items.
    Array(usize),
    /// Blocks of a key and a value.
    Map(usize),
    /// The number of a branch, then its value.
    Union(Vec<usize>),
}

impl Shapes {
    /// Reads a schema. `Err`: what is wrong with it.
    pub(crate) fn of(schema: &Value) -> Result<Self, String> {
        let mut building = Building { all: Vec::new(), named: HashMap::new() };
        let root = building.shape(schema, None, 0)?;
        match building.all.get(root) {
            Some(Shape::Record(_)) => Ok(Self { all: building.all, root }),
            _ => Err("its rows are no records".into()),
        }
    }

    /// That it ends, and how: named types count wherever they are named, as decoders have them.
    pub(crate) fn measure(&self, most: u64) -> Result<(), String> {
        let mut measured = vec![Measured::Not; self.all.len()];
        let (parts, depth) = self.size(self.root, &mut measured)?;
        if depth > DEPTH {
            return Err(format!("its types are nested more than {DEPTH} deep"));
        }
        if parts > most { Err(format!("it has more than {most} parts")) } else { Ok(()) }
    }

    /// How many parts a type has, and how deep they are nested. Goes no deeper than the schema is written: a name comes after its type.
    fn size(&self, shape: usize, measured: &mut [Measured]) -> Result<(u64, usize), String> {
        match measured[shape] {
            Measured::Is(parts, depth) => return Ok((parts, depth)),
            Measured::Within => return Err("it is recursive: a type is within itself".into()),
            Measured::Not => measured[shape] = Measured::Within,
        }
        let inner = match &self.all[shape] {
            Shape::Record(inner) | Shape::Union(inner) => inner.as_slice(),
            Shape::Array(inner) | Shape::Map(inner) => std::slice::from_ref(inner),
            Shape::Fixed(_) | Shape::Varint | Shape::Bytes => &[],
        };
        let (mut parts, mut depth) = (1_u64, 0);
        for inner in inner {
            let (more, deeper) = self.size(*inner, measured)?;
            (parts, depth) = (parts.saturating_add(more), depth.max(deeper + 1));
        }
        measured[shape] = Measured::Is(parts, depth);
        Ok((parts, depth))
    }
}

#[derive(Clone, Copy)]
enum Measured {
    Not,
    Within,
    Is(u64, usize),
}

struct Building {
    all: Vec<Shape>,
    /// By full name.
    named: HashMap<String, usize>,
}

impl Building {
    fn add(&mut self, shape: Shape) -> usize {
        self.all.push(shape);
        self.all.len() - 1
    }

    fn shape(&mut self, schema: &Value, namespace: Option<&str>, depth: usize) -> Result<usize, String> {
        if depth > DEPTH {
            return Err(format!("its schema is nested more than {DEPTH} deep"));
        }
        match schema {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.shape(branch, namespace, depth + 1)).collect::<Result<_, _>>()?;
                Ok(self.add(Shape::Union(branches)))
            }
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.complex(kind, schema, namespace, depth),
                Some(inner) => self.shape(inner, namespace, depth + 1),
                None => Err("a type of its schema has no `type`".into()),
            },
            _ => Err("a type of its schema is neither name, list nor object".into()),
        }
    }

    fn by_name(&mut self, name: &str, namespace: Option<&str>) -> Result<usize, String> {
        let shape = match name {
            "null" => Shape::Fixed(0),
            "boolean" => Shape::Fixed(1),
            "int" | "long" => Shape::Varint,
            "float" => Shape::Fixed(4),
            "double" => Shape::Fixed(8),
            "bytes" | "string" => Shape::Bytes,
            other => {
                let found = self.named.get(&full_name(other, namespace)).or_else(|| self.named.get(other));
                return found.copied().ok_or_else(|| format!("its schema has no type `{}`", stygian_core::escape(other, 100)));
            }
        };
        Ok(self.add(shape))
    }

    fn complex(&mut self, kind: &str, schema: &Value, namespace: Option<&str>, depth: usize) -> Result<usize, String> {
        let part = |key: &str| schema.get(key).ok_or_else(|| format!("a type of its schema has no `{key}`"));
        let shape = match kind {
            "array" => Shape::Array(self.shape(part("items")?, namespace, depth + 1)?),
            "map" => Shape::Map(self.shape(part("values")?, namespace, depth + 1)?),
            "enum" | "fixed" | "record" | "error" => {
                let name = schema.get("name").and_then(Value::as_str).ok_or("a named type of its schema has no name")?;
                let namespace = schema.get("namespace").and_then(Value::as_str).or(namespace);
                let full = full_name(name, namespace);
                // Known before its fields are, for it may occur in them.
                let at = self.add(Shape::Varint);
                self.named.insert(full.clone(), at);
                let namespace = full.rsplit_once('.').map(|(namespace, _)| namespace);
                self.all[at] = match kind {
                    "enum" => Shape::Varint,
                    "fixed" => Shape::Fixed(part("size")?.as_u64().ok_or("a fixed type of its schema has no size")?),
                    _ => Shape::Record(self.fields(part("fields")?, namespace, depth)?),
                };
                return Ok(at);
            }
            plain => return self.by_name(plain, namespace),
        };
        Ok(self.add(shape))
    }

    fn fields(&mut self, fields: &Value, namespace: Option<&str>, depth: usize) -> Result<Vec<usize>, String> {
        let fields = fields.as_array().ok_or("the fields of a record of its schema are no list")?;
        let shape = |field: &Value| self.shape(field.get("type").ok_or("a field of its schema has no type")?, namespace, depth + 1);
        fields.iter().map(shape).collect()
    }
}

fn full_name(name: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) if !name.contains('.') && !namespace.is_empty() => format!("{namespace}.{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn measures_what_names_stand_for() {
        let told = |types: Vec<Value>| {
            let fields: Vec<Value> =
                types.into_iter().enumerate().map(|(n, kind)| json!({ "name": format!("f{n}"), "type": kind })).collect();
            Shapes::of(&json!({ "type": "record", "name": "r", "fields": fields })).expect("a schema").measure(1000)
        };
        let record = |n: usize, inner: Value| json!({ "type": "record", "name": format!("t{n}"), "fields": inner });
        // Each holds the one before it twice: 2^30 parts of 30.
        let twice = |n: usize| match n {
            0 => record(0, json!([])),
            n => record(n, json!([{ "name": "a", "type": format!("t{}", n - 1) }, { "name": "b", "type": format!("t{}", n - 1) }])),
        };
        assert_eq!(told((0..30).map(twice).collect()), Err("it has more than 1000 parts".into()));
        let once = |n: usize| match n {
            0 => record(0, json!([])),
            n => record(n, json!([{ "name": "a", "type": format!("t{}", n - 1) }])),
        };
        assert_eq!(told((0..40).map(once).collect()), Ok(()));
        assert_eq!(told((0..70).map(once).collect()), Err("its types are nested more than 64 deep".into()));
        assert_eq!(told(vec![json!(["null", "r"])]), Err("it is recursive: a type is within itself".into()));
    }

    #[test]
    fn says_what_is_wrong_with_a_schema() {
        let told = |schema: Value| Shapes::of(&schema).expect_err("wrong");
        assert_eq!(told(json!("int")), "its rows are no records");
        assert_eq!(told(json!({ "type": "record", "name": "r", "fields": [{ "name": "a", "type": "x" }] })), "its schema has no type `x`");
        let deep = (0..100).fold(json!("int"), |inner, _| json!({ "type": "array", "items": inner }));
        assert_eq!(told(deep), "its schema is nested more than 64 deep");
    }
}
