//! Taking a syntax tree apart and putting it together otherwise: direct parts, a part replaced, a cast around a part.

use datafusion_sql::sqlparser::ast::{CastKind, DataType as SqlType, Expr, Ident, ObjectName, Visit, VisitMut, Visitor, VisitorMut};
use std::ops::ControlFlow;

/// The expressions that `expr` is made of, without theirs, in the order of the text.
pub(crate) fn of(expr: &Expr) -> Vec<Expr> {
    struct Parts {
        depth: usize,
        found: Vec<Expr>,
    }
    impl Visitor for Parts {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.depth += 1;
            if self.depth == 2 {
                self.found.push(expr.clone());
            }
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut parts = Parts { depth: 0, found: Vec::new() };
    let _ = expr.visit(&mut parts);
    parts.found
}

/// `expr` with another part in the place of the one with this index.
pub(crate) fn replaced(expr: &Expr, index: usize, by: &Expr) -> Expr {
    struct Replace<'a> {
        depth: usize,
        next: usize,
        index: usize,
        by: &'a Expr,
    }
    impl VisitorMut for Replace<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 2 {
                if self.next == self.index {
                    *expr = self.by.clone();
                }
                self.next += 1;
            }
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut whole = expr.clone();
    let _ = VisitMut::visit(&mut whole, &mut Replace { depth: 0, next: 0, index, by });
    whole
}

/// `cast(expr as data_type)`
pub(crate) fn cast(expr: Expr, data_type: SqlType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// A type by the name that pipeline files have for it.
pub(crate) fn sql_type(name: &str) -> SqlType {
    SqlType::Custom(ObjectName::from(Ident::new(name)), Vec::new())
}
