//! The keys of nodes as typed. These structs are also the reference: editors' schemas and pages are made of their doc comments.
//!
//! Every field is optional here, so that one missing or wrong key hides no other problem; what must be there is checked in `parse`.

use crate::aggregates::AggregateTable;
use crate::window::WindowKeys;
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use stygian_core::Span;
use toml::Spanned;

/// Keys that every source has; all others belong to its connector.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SourceKeys {
    /// The kind of source, such as "files"; `stygian connectors` lists them.
    #[schemars(with = "String")]
    pub(crate) connector: Option<Spanned<String>>,
    /// The column that says when a row's event happened: a timestamp. Default: none; windows need one.
    #[schemars(with = "String")]
    pub(crate) event_time: Option<Spanned<String>>,
    /// How far a row's event time may lie behind the largest one read before it from the same split; rows that come later still are late.
    /// Default: "5s". Raise it when rows come more out of order than that; windows then close later. Needs `event_time`.
    #[schemars(with = "Span")]
    pub(crate) watermark_delay: Option<Spanned<Span>>,
    /// After how long without rows a split no longer holds back the watermark. Default: never. Set it for endless sources some of whose
    /// splits can fall silent. Needs `event_time`.
    #[schemars(with = "Span")]
    pub(crate) idle_after: Option<Spanned<Span>>,
}

/// Keys that every sink has; all others belong to its connector.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SinkKeys {
    /// The stream to write: the name of a source or operator, or one of its outputs as `name.output`.
    #[schemars(with = "String")]
    pub(crate) input: Option<Spanned<String>>,
    /// The kind of sink, such as "files"; `stygian connectors` lists them.
    #[schemars(with = "String")]
    pub(crate) connector: Option<Spanned<String>>,
}

/// Keys of an operator: its input, and those of exactly one kind (`plugin`, `filter`, `select`, `union`, `branch`, `dedup`, `window` or `top`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct OperatorKeys {
    /// The stream to read: the name of a source or operator, or one of its outputs as `name.output` (every one has `dead_letters`).
    #[schemars(with = "String")]
    pub(crate) input: Option<Spanned<String>>,
    /// The streams that a `union` reads.
    #[schemars(with = "Vec<String>")]
    pub(crate) inputs: Option<Spanned<Vec<Spanned<String>>>>,
    /// Runs a plugin: a path to a component ("./clean.wasm") or a name and a version ("clean@1.2").
    #[schemars(with = "String")]
    pub(crate) plugin: Option<Spanned<String>>,
    /// The plugin's configuration; which keys it has, the plugin says. Default: empty.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(crate) config: Option<Spanned<toml::Table>>,
    /// Sandbox limits of this plugin where they differ from `[limits]`. Default: none.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(crate) limits: Option<Spanned<toml::Table>>,
    /// "reuse": an instance of the plugin is kept and called again; "fresh": every call gets a new one, which costs about 10 us a call.
    /// Default: "reuse". Choose "fresh" where nothing may leak from one call to another.
    #[schemars(with = "Instances")]
    pub(crate) instances: Option<Spanned<Instances>>,
    /// Limits of the state of a plugin with `key_by`: `bytes` ("1 GiB"), `keys` (50,000,000), `value_bytes` ("1 MiB") and `timers`
    /// (10,000,000), each of a subtask. Past one the job fails and says so. Default: those.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(crate) state: Option<Spanned<toml::Table>>,
    /// What becomes of a row on which the plugin fails (a panic, a loop, a limit): "fail": the job fails and names the row; "skip": the row is
    /// left out and counted; "dead-letter": it goes to the output `dead_letters` with the failure as reason. The row is found by calling
    /// the plugin with halves of the rows of the failed call. Default: "fail". Choose one of the others where going on matters more than every row.
    #[schemars(with = "OnError")]
    pub(crate) on_error: Option<Spanned<OnError>>,
    /// With `on_error` "skip" or "dead-letter": the largest share of rows that may be given up so, 0 to 1, counted in each subtask over about the
    /// last million rows and from the 101st such row on; beyond it the job fails. Default: 0.05. 1 means: never fail.
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub(crate) max_poison_rate: Option<Spanned<f64>>,
    /// Passes the rows on for which this SQL expression is true ("amount > 0").
    #[schemars(with = "String")]
    pub(crate) filter: Option<Spanned<String>>,
    /// Makes new rows: a table of column names and SQL expressions (`{ user = "user", price = "amount * 1.19" }`), in this order.
    #[schemars(with = "SqlTable")]
    pub(crate) select: Option<Spanned<SqlTable>>,
    /// With `select`: the column that is the event time. Default: the input's, if it is selected under its name.
    #[schemars(with = "String")]
    pub(crate) event_time: Option<Spanned<String>>,
    /// `true`: passes on the rows of all `inputs`, which must have equal columns.
    #[schemars(with = "bool")]
    pub(crate) union: Option<Spanned<bool>>,
    /// Splits the stream: a table of outputs and SQL conditions. A row goes to the first output whose condition is true, else to `other`.
    #[schemars(with = "SqlTable")]
    pub(crate) branch: Option<Spanned<SqlTable>>,
    /// Drops repetitions: of rows with equal values in the columns `by` that are less than `within` of event time apart, the first to
    /// come passes (`{ by = ["id"], within = "1h" }`). Rows that come too late to tell go to the output `late`.
    #[schemars(with = "DedupKeys")]
    pub(crate) dedup: Option<Spanned<DedupKeys>>,
    /// Aggregates by windows: `{ tumbling = "1h" }`, `{ sliding = "1h", slide = "10m" }` or `{ session = "30m" }`, by event time or
    /// processing time. Rows that come after their window was closed go to the output `late`.
    #[schemars(with = "WindowKeys")]
    pub(crate) window: Option<Spanned<WindowKeys>>,
    /// With `window` or `top`: the columns whose equal values make a group. Default: none, all rows of a window are one group (and one subtask does all
    /// the work). With `plugin`: the columns whose equal values share state, for plugins that keep some.
    #[schemars(with = "Vec<String>")]
    pub(crate) key_by: Option<Spanned<Vec<Spanned<String>>>>,
    /// With `window`: a table of column names and SQL aggregates (`{ total = "sum(amount)", n = "count(*)" }`), or plugins that aggregate
    /// (`{ spread = { plugin = "spread@0.1", config = {} } }`; one that makes several columns puts this name before theirs).
    #[schemars(with = "AggregateTable")]
    pub(crate) aggregate: Option<Spanned<SqlTable>>,
    /// Passes on the first rows of each window and gives them a `rank` (`{ by = "total desc", n = 3 }`), of each group where there is a
    /// `key_by`. Windows are those of `window` (`tumbling` or `sliding`), or, without it, those that the rows are results of. Rows that come
    /// after their window was given out go to the output `late`.
    #[schemars(with = "TopKeys")]
    pub(crate) top: Option<Spanned<TopKeys>>,
}

/// The first rows of each window.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "top")]
pub(crate) struct TopKeys {
    /// What orders the rows: a column with its direction ("total desc", "delay asc"), or a list of such, the most important first. Nulls come
    /// last; ties are broken by the other columns, ascending.
    #[schemars(schema_with = "order_schema")]
    pub(crate) by: Option<Spanned<toml::Value>>,
    /// How many rows of a window or group: 1 to 10,000.
    #[schemars(with = "i64", range(min = 1, max = 10_000))]
    pub(crate) n: Option<Spanned<i64>>,
}

fn order_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let one = serde_json::json!({ "type": "string", "pattern": "\\s([aA][sS][cC]|[dD][eE][sS][cC])\\s*$" });
    schemars::json_schema!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
}

/// What repeats what.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "dedup")]
pub(crate) struct DedupKeys {
    /// The columns whose equal values make a repetition. Null equals null.
    #[schemars(with = "Vec<String>")]
    pub(crate) by: Option<Spanned<Vec<Spanned<String>>>>,
    /// How near in event time rows repeat each other. A row is remembered for so long, so memory grows with it.
    #[schemars(with = "Span")]
    pub(crate) within: Option<Spanned<Span>>,
}

/// How long an instance of a plugin lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// It is kept and called again.
    #[default]
    Reuse,
    /// Every call gets a new one.
    Fresh,
}

/// What becomes of a row on which a plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// It is left out.
    Skip,
    /// It goes to the dead letters.
    DeadLetter,
}

/// A table of names and SQL, in the order of the file. Values of other types are kept for a problem each.
#[derive(Clone, Debug, Default)]
pub(crate) struct SqlTable(pub(crate) Vec<(Spanned<String>, Spanned<toml::Value>)>);

impl<'de> Deserialize<'de> for SqlTable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(SqlTableVisitor)
    }
}

struct SqlTableVisitor;

impl<'de> Visitor<'de> for SqlTableVisitor {
    type Value = SqlTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of names and SQL expressions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SqlTable, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(SqlTable(entries))
    }
}

impl JsonSchema for SqlTable {
    fn schema_name() -> Cow<'static, str> {
        "sql-table".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object", "additionalProperties": { "type": "string" }, "minProperties": 1 })
    }
}
