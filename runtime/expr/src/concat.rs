//! The operator `||`: both texts, or null when one of them is null.
//!
//! DataFusion's own operator has no byte cap; this one is its function `concat` under the cap, with null made stronger.

use crate::capped::{self, Growth};
use arrow_array::{Array, BooleanArray};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The function that the planner puts in the place of `||`.
pub(crate) fn operator() -> Arc<ScalarUDF> {
    let concat = capped::wrap(datafusion_functions::string::concat(), Growth::Sum);
    Arc::new(ScalarUDF::new_from_impl(ConcatOperator { concat, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ConcatOperator {
    concat: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for ConcatOperator {
    fn name(&self) -> &'static str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.iter().any(|t| t.is_nested() || t.is_binary()) {
            return exec_err!("`||` joins texts, not {} and {}", types[0], types[1]);
        }
        Ok(vec![DataType::Utf8; types.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        if args.args.iter().any(|arg| matches!(arg, ColumnarValue::Scalar(scalar) if scalar.is_null())) {
            return Ok(ColumnarValue::Scalar(datafusion_common::ScalarValue::Utf8(None)));
        }
        let nulls = args.args.iter().fold(None, |nulls: Option<NullBuffer>, arg| match arg {
            ColumnarValue::Array(array) => NullBuffer::union(nulls.as_ref(), array.nulls()),
            ColumnarValue::Scalar(_) => nulls,
        });
        let joined = self.concat.invoke_with_args(args)?;
        let Some(nulls) = nulls else { return Ok(joined) };
        let joined = joined.into_array(rows)?;
        let null = BooleanArray::new(!nulls.inner(), None);
        Ok(ColumnarValue::Array(arrow_select::nullif::nullif(&joined, &null)?))
    }
}
