//! Why an expression that parses does not compile: which part of it is at fault, said in words of pipeline files.
//!
//! The planner's errors have no place in the text and speak of its insides. So the smallest part that fails on its own is looked for, and
//! its types, which the planner knows, make the sentence. A conversion is only advised if the expression compiles with it. All of it costs
//! at most [`MAX_PROBES`] more attempts at compiling, and nothing for expressions without a fault.

use crate::error::{ExprError, planner_words};
use crate::functions::FUNCTIONS;
use crate::{parts, span};
use arrow_schema::DataType;
use datafusion_common::DataFusionError;
use datafusion_expr::TypeSignature;
use datafusion_sql::sqlparser::ast::{BinaryOperator, DataType as SqlType, Expr, Function, Spanned, Value};
use datafusion_sql::sqlparser::tokenizer::Span;
use std::cell::Cell;
use stygian_core::{ColumnType, type_name};

/// The most attempts at compiling parts of one faulty expression.
const MAX_PROBES: usize = 300;

/// No function takes a fixed number of arguments beyond this.
const MOST_ARGUMENTS: usize = 8;

/// What a part could be converted to.
const CONVERSIONS: [ColumnType; 5] = [ColumnType::Float64, ColumnType::Int64, ColumnType::Text, ColumnType::Bool, ColumnType::TimestampUtc];

/// The type that an expression has, or why it has none.
pub(crate) type TypeOf<'a> = dyn Fn(&Expr) -> Result<DataType, DataFusionError> + 'a;

/// Tells what is wrong with `expr`, which is all of `sql` and does not compile because of `error`.
pub(crate) fn explain(sql: &str, expr: &Expr, error: DataFusionError, type_of: &TypeOf<'_>) -> ExprError {
    if let Some(cap) = ExprError::cap(&error) {
        return cap;
    }
    let probes = Probes { left: Cell::new(MAX_PROBES), type_of };
    let (message, span) = Culprit::find(expr.clone(), error, &probes).words(&probes);
    ExprError::Plan { sql: sql.to_owned(), message, at: span::bytes(sql, span).map(|at| span::with_brackets(sql, at)) }
}

struct Probes<'a> {
    left: Cell<usize>,
    type_of: &'a TypeOf<'a>,
}

impl Probes<'_> {
    /// `None` when too many have been made.
    fn probe(&self, expr: &Expr) -> Option<Result<DataType, DataFusionError>> {
        self.left.set(self.left.get().checked_sub(1)?);
        Some((self.type_of)(expr))
    }

    fn compiles(&self, expr: &Expr) -> bool {
        self.probe(expr).is_some_and(|probed| probed.is_ok())
    }
}

/// The smallest part that fails although its own parts do not.
struct Culprit {
    expr: Expr,
    parts: Vec<(Expr, DataType)>,
    error: DataFusionError,
}

impl Culprit {
    fn find(mut expr: Expr, mut error: DataFusionError, probes: &Probes<'_>) -> Self {
        'down: loop {
            let mut sound = Vec::new();
            for part in parts::of(&expr) {
                match probes.probe(&part) {
                    Some(Ok(found)) => sound.push((part, found)),
                    Some(Err(inner)) => {
                        (expr, error) = (part, inner);
                        continue 'down;
                    }
                    None => break,
                }
            }
            return Self { expr, parts: sound, error };
        }
    }

    /// What is wrong, and where.
    fn words(&self, probes: &Probes<'_>) -> (String, Span) {
        let whole = self.expr.span();
        match &self.expr {
            Expr::Cast { data_type, .. } => self.cast(data_type, probes),
            Expr::Function(function) => self.function(function, probes),
            _ if self.adds_number_to_time() => {
                (format!("{}; a span of time is written as in `interval '1 second'`", self.complaint()), whole)
            }
            _ => match self.misread_text(probes) {
                Some((message, text)) => (message, text.span()),
                None => (self.mismatch(probes).map_or_else(|| self.otherwise(), |(message, _)| message), whole),
            },
        }
    }

    fn cast(&self, wanted: &SqlType, probes: &Probes<'_>) -> (String, Span) {
        let whole = self.expr.span();
        if !probes.compiles(&parts::cast(Expr::value(Value::Null), wanted.clone())) {
            let place = match wanted {
                SqlType::Custom(name, _) => name.span(),
                _ => whole,
            };
            return (format!("there is no type `{wanted}`; use one of {}", ColumnType::NAMES), place);
        }
        let name = wanted.to_string().to_lowercase();
        let message = match self.parts.first() {
            Some((part, _)) if is_text(part) => format!("{part} is no {name}"),
            Some((part, found)) => format!("`{part}` is {}, which cannot be cast to {name}", type_name(found)),
            None => self.otherwise(),
        };
        (message, whole)
    }

    fn adds_number_to_time(&self) -> bool {
        let families: Vec<Family> = self.parts.iter().map(|(_, found)| family(found)).collect();
        let adds = matches!(&self.expr, Expr::BinaryOp { op: BinaryOperator::Plus | BinaryOperator::Minus, .. });
        adds && families.contains(&Family::Time) && families.contains(&Family::Number)
    }

    fn function(&self, function: &Function, probes: &Probes<'_>) -> (String, Span) {
        let whole = function.span();
        if let Some((message, part)) = self.mismatch(probes) {
            return (message, self.parts.get(part).map_or(whole, |(part, _)| part.span()));
        }
        match (most_arguments(function), self.parts.len()) {
            (Some(most), given) if given > most => {
                let arguments = if most == 1 { "argument" } else { "arguments" };
                (format!("`{}` takes at most {most} {arguments}, here are {given}", function.name), whole)
            }
            (Some(most), given) if given < most && planner_words(&self.error).is_none() => {
                (format!("{}; it takes up to {most} arguments", self.complaint()), whole)
            }
            _ => (self.otherwise(), whole),
        }
    }

    /// A text in quotes that stands for a value of another type, and is none.
    fn misread_text(&self, probes: &Probes<'_>) -> Option<(String, &Expr)> {
        if matches!(self.expr, Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::Substring { .. }) {
            return None; // Their texts are texts.
        }
        let texts = || self.parts.iter().filter(|(part, _)| is_text(part));
        let others = self.parts.iter().filter(|(part, found)| !is_text(part) && !matches!(family(found), Family::Text | Family::Other));
        let wanted = others.filter_map(|(_, found)| ColumnType::of(found));
        let wanted: Vec<(ColumnType, SqlType)> = wanted.map(|wanted| (wanted, parts::sql_type(&wanted.to_string()))).collect();
        wanted.into_iter().find_map(|(name, sql_type)| {
            let misread = |text: &Expr| !probes.compiles(&parts::cast(text.clone(), sql_type.clone()));
            let (text, _) = texts().find(|(text, _)| misread(text))?;
            Some((format!("{text} is no {name}"), text))
        })
    }

    /// Types that would fit if one part were converted, which is then named.
    fn mismatch(&self, probes: &Probes<'_>) -> Option<(String, usize)> {
        for (index, (part, found)) in self.parts.iter().enumerate() {
            for wanted in CONVERSIONS.into_iter().filter(|wanted| family(&wanted.arrow()) != family(found)) {
                let cast = parts::cast(part.clone(), parts::sql_type(&wanted.to_string()));
                if probes.compiles(&parts::replaced(&self.expr, index, &cast)) {
                    return Some((format!("{}; convert with `cast({part} as {wanted})`", self.complaint()), index));
                }
            }
        }
        None
    }

    /// What the planner says, unless it speaks of itself.
    fn otherwise(&self) -> String {
        match planner_words(&self.error) {
            Some(words) => words,
            None => self.complaint(),
        }
    }

    /// Which types do not go with what.
    fn complaint(&self) -> String {
        let types: Vec<String> = self.parts.iter().map(|(_, found)| type_name(found)).collect();
        let types = match types.split_last() {
            None => "nothing".to_owned(),
            Some((only, [])) => only.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        };
        match &self.expr {
            Expr::BinaryOp { op, .. } => format!("`{}` does not work on {types}", op.to_string().to_lowercase()),
            Expr::UnaryOp { op, .. } => format!("`{}` does not work on {types}", op.to_string().to_lowercase()),
            other => match word(other) {
                Some(word) => format!("`{word}` does not take {types}"),
                None => format!("`{}` cannot be computed from {types}", shortened(other)),
            },
        }
    }
}

/// How many arguments a function takes at most, where that is known.
fn most_arguments(function: &Function) -> Option<usize> {
    let name = function.name.to_string().to_lowercase();
    let scalar = FUNCTIONS.scalars.get(&name).map(|function| function.signature());
    let signature = scalar.or_else(|| FUNCTIONS.aggregates.get(&name).map(|function| function.signature()))?;
    let arity = signature.type_signature.arity();
    (0..=MOST_ARGUMENTS).find(|most| TypeSignature::Any(*most).arity() == arity)
}

/// What a construct is called.
fn word(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Function(function) => function.name.to_string(),
        Expr::Like { .. } => "like".to_owned(),
        Expr::ILike { .. } => "ilike".to_owned(),
        Expr::SimilarTo { .. } => "similar to".to_owned(),
        Expr::Between { .. } => "between".to_owned(),
        Expr::InList { .. } => "in".to_owned(),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Substring { shorthand: true, .. } => "substr".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Trim { .. } => "trim".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::AtTimeZone { .. } => "at time zone".to_owned(),
        Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => "is".to_owned(),
        _ => return None,
    })
}

fn shortened(expr: &Expr) -> String {
    let text = expr.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(60).chain(['.', '.', '.']).collect() }
}

fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_text(inner),
        Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_)),
        _ => false,
    }
}

/// Types between which the planner converts by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Bool,
    Time,
    Other,
}

fn family(data_type: &DataType) -> Family {
    match data_type {
        DataType::Boolean => Family::Bool,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Family::Text,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Family::Time,
        numeric if numeric.is_numeric() => Family::Number,
        _ => Family::Other,
    }
}
