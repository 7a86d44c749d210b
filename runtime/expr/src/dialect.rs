//! The SQL that expressions are written in: the generic dialect's expressions, with a bound on the parser's work.
//!
//! The parser tries several readings of words such as `interval` and `position`, each of which may try several of what follows:
//! without a bound its work doubles with every such word.

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use std::any::TypeId;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the beginnings of expressions that one text's parser looks at.
#[derive(Debug)]
pub(crate) struct BoundedDialect {
    left: AtomicUsize,
}

impl BoundedDialect {
    /// For a text of so many tokens.
    pub(crate) fn new(tokens: usize) -> Self {
        Self { left: AtomicUsize::new(1_000 + tokens.saturating_mul(8)) }
    }
}

impl Dialect for BoundedDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        // Of all errors this is the one that ends every attempt.
        spent.then_some(Err(ParserError::RecursionLimitExceeded))
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        GenericDialect.is_delimited_identifier_start(c)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        GenericDialect.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        GenericDialect.is_identifier_part(c)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }
}
