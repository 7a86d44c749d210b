//! SQL text to a syntax tree, with every size bounded before the next step may recurse over it.
//!
//! A chain such as `a + a + ...` parses without recursion but makes a tree as deep as it is long; so the tokens are counted
//! before parsing and the depth is measured before anything else looks at the tree.

use crate::dialect::BoundedDialect;
use crate::{ExprError, span};
use datafusion_sql::sqlparser::ast::{Expr, Visit, Visitor};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};
use std::ops::ControlFlow;

/// The longest SQL text, in bytes.
pub const MAX_SQL_BYTES: usize = 64 * 1024;
/// The most words, numbers and signs of one SQL text.
pub const MAX_TOKENS: usize = 16_384;
/// The deepest that expressions may nest; `a or b or c` nests twice.
pub const MAX_DEPTH: usize = 200;
/// The deepest that brackets and the like may nest: the parser recurses on them.
const MAX_BRACKETS: usize = 100;

/// Parses one expression, all of the text.
pub(crate) fn parse(sql: &str) -> Result<Expr, ExprError> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(too_large(sql, "bytes", sql.len(), MAX_SQL_BYTES, "split it over several columns"));
    }
    let tokens = tokens(sql)?;
    if tokens.len() > MAX_TOKENS {
        return Err(too_large(sql, "words and signs", tokens.len(), MAX_TOKENS, "split it over several columns"));
    }
    let dialect = BoundedDialect::new(tokens.len());
    let mut parser = Parser::new(&dialect).with_recursion_limit(MAX_BRACKETS).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(|error| syntax(sql, &error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let message = format!("`{}` is not expected here", next.token);
        return Err(ExprError::Syntax { sql: sql.to_owned(), message, at: span::bytes(sql, next.span) });
    }
    check_depth(sql, &expr)?;
    Ok(expr)
}

fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, ExprError> {
    let mut tokens = Tokenizer::new(&BoundedDialect::new(0), sql).tokenize_with_location().map_err(|error| ExprError::Syntax {
        sql: sql.to_owned(),
        message: error.message,
        at: span::word_at(sql, error.location),
    })?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab)));
    if tokens.is_empty() {
        return Err(ExprError::Syntax { sql: sql.to_owned(), message: "the text is empty".to_owned(), at: None });
    }
    Ok(tokens)
}

fn syntax(sql: &str, error: &ParserError) -> ExprError {
    match error {
        ParserError::RecursionLimitExceeded => too_large(sql, "nested brackets", MAX_BRACKETS, MAX_BRACKETS, "nest it less"),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let (message, location) = span::split_message(message);
            let end = sql.trim_end().len();
            let at = match location {
                Some(location) => span::word_at(sql, location),
                None => message.ends_with("found: EOF").then_some(end..end),
            };
            let message = message.replacen("Expected: ", "expected ", 1).replace(", found: EOF", ", but the text ends");
            ExprError::Syntax { sql: sql.to_owned(), message, at }
        }
    }
}

fn too_large(sql: &str, what: &'static str, found: usize, limit: usize, hint: &'static str) -> ExprError {
    // The text may be huge: what a message can show is its beginning.
    let sql = sql[..sql.floor_char_boundary(MAX_SQL_BYTES)].to_owned();
    ExprError::TooLarge { sql, what, found, limit, hint }
}

fn check_depth(sql: &str, expr: &Expr) -> Result<(), ExprError> {
    struct Depth(usize);
    impl Visitor for Depth {
        type Break = ();
        fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.0 += 1;
            if self.0 > MAX_DEPTH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
    }
    match expr.visit(&mut Depth(0)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            Err(too_large(sql, "nested levels", MAX_DEPTH + 1, MAX_DEPTH, "write `x in (a, b, ...)` for long chains of `or`"))
        }
    }
}
