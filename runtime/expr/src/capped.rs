//! A byte cap on functions whose result can be much longer than what they are given.
//!
//! How long the result of each row can get is computed before the function runs. Where the whole batch could pass the cap, it is
//! evaluated in runs of rows that cannot, counting what really came out; a row that alone could pass the cap is refused. So no
//! call makes more than twice the cap before it is stopped.

use crate::error::CapExceeded;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, FieldRef};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use std::sync::Arc;

/// The most bytes that one call of a growing text function may make of one batch: 64 MiB.
pub const MAX_RESULT_BYTES: u64 = 64 * 1024 * 1024;

/// How the length of a result follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Growth {
    /// All texts, one behind the other.
    Sum,
    /// All texts with the first one between them.
    Joined,
    /// As many characters as the second argument says.
    Padded,
    /// The first argument, as often as the second says.
    Repeated,
    /// Every occurrence of the second argument in the first becomes the third.
    Replaced,
    /// Every match of the second argument in the first becomes the third, which may hold parts of the match.
    PatternReplaced,
}

/// `function` under the cap.
pub(crate) fn wrap(function: Arc<ScalarUDF>, growth: Growth) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Capped { function, growth }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

// What is not delegated is left at its default on purpose: `simplify` could put the bare function in the place of this one.
impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.growth == Growth::Padded
            && let Some(counts) = args.args.get_mut(1)
        {
            not_negative(counts)?;
        }
        let rows = if args.args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_))) { args.number_rows } else { 1 };
        let bounds = self.growth.bounds(&args.args, rows)?;
        let total = bounds.iter().fold(0_u64, |sum, bound| sum.saturating_add(*bound));
        if total <= MAX_RESULT_BYTES {
            return self.function.invoke_with_args(args);
        }
        if let Some(bytes) = bounds.iter().copied().find(|bound| *bound > MAX_RESULT_BYTES) {
            return Err(self.exceeded(bytes));
        }
        self.in_runs(&args, &bounds)
    }
}

impl Capped {
    fn exceeded(&self, bytes: u64) -> DataFusionError {
        let function = self.name().to_owned();
        DataFusionError::External(Box::new(CapExceeded { function, bytes, limit: MAX_RESULT_BYTES }))
    }

    /// Evaluates runs of rows that cannot pass the cap, until what they made does.
    fn in_runs(&self, args: &ScalarFunctionArgs, bounds: &[u64]) -> Result<ColumnarValue> {
        let (mut parts, mut made, mut start) = (Vec::new(), 0_u64, 0);
        while start < bounds.len() {
            let mut sum = 0_u64;
            let fits = |bound: &&u64| {
                sum = sum.saturating_add(**bound);
                sum <= MAX_RESULT_BYTES
            };
            let rows = bounds[start..].iter().take_while(fits).count().max(1);
            let part = self.function.invoke_with_args(slice(args, start, rows))?.into_array(rows)?;
            made = made.saturating_add(lengths(&part)?.iter().sum());
            if made > MAX_RESULT_BYTES {
                return Err(self.exceeded(made));
            }
            parts.push(part);
            start += rows;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(arrow_select::concat::concat(&parts)?))
    }
}

fn slice(args: &ScalarFunctionArgs, start: usize, rows: usize) -> ScalarFunctionArgs {
    let cut = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
        scalar @ ColumnarValue::Scalar(_) => scalar.clone(),
    };
    ScalarFunctionArgs { args: args.args.iter().map(cut).collect(), number_rows: rows, ..args.clone() }
}

impl Growth {
    /// The most bytes each row can come to.
    fn bounds(self, args: &[ColumnarValue], rows: usize) -> Result<Vec<u64>> {
        let text = |index: usize| args.get(index).map_or_else(|| Ok(vec![0; rows]), |arg| texts(arg, rows));
        let number = |index: usize| args.get(index).map_or_else(|| Ok(vec![0; rows]), |arg| numbers(arg, rows));
        Ok(match self {
            Self::Sum => sums(args, rows)?,
            Self::Joined => {
                let times = u64::try_from(args.len()).unwrap_or(u64::MAX);
                zip(sums(args, rows)?, text(0)?, |sum, separator| sum.saturating_add(separator.saturating_mul(times)))
            }
            // Four bytes are the longest character.
            Self::Padded => number(1)?.into_iter().map(|count| count.saturating_mul(4)).collect(),
            Self::Repeated => zip(text(0)?, number(1)?, u64::saturating_mul),
            Self::Replaced => {
                let found = zip(text(0)?, text(1)?, |length, from| length.checked_div(from).unwrap_or(length + 1));
                let added = zip(found, text(2)?, u64::saturating_mul);
                zip(text(0)?, added, u64::saturating_add)
            }
            Self::PatternReplaced => {
                let references = references(args.get(2), rows);
                let copied = zip(text(0)?, references, |length, copies| length.saturating_mul(copies + 1));
                let added = zip(text(0)?, text(2)?, |length, to| (length + 1).saturating_mul(to));
                zip(copied, added, u64::saturating_add)
            }
        })
    }
}

fn zip(a: Vec<u64>, b: Vec<u64>, f: impl Fn(u64, u64) -> u64) -> Vec<u64> {
    a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect()
}

fn sums(args: &[ColumnarValue], rows: usize) -> Result<Vec<u64>> {
    args.iter().try_fold(vec![0; rows], |sums, arg| Ok(zip(sums, texts(arg, rows)?, u64::saturating_add)))
}

/// How often the replacement text of each row may hold a part of the match (`$1`, `\1`).
fn references(arg: Option<&ColumnarValue>, rows: usize) -> Vec<u64> {
    let count = |text: &str| text.bytes().filter(|byte| matches!(byte, b'$' | b'\\')).count() as u64;
    match arg {
        Some(ColumnarValue::Scalar(scalar)) => vec![scalar.try_as_str().flatten().map_or(0, count); rows],
        Some(ColumnarValue::Array(array)) => match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().map(|text| text.map_or(0, count)).collect(),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().map(|text| text.map_or(0, count)).collect(),
            DataType::Utf8View => array.as_string_view().iter().map(|text| text.map_or(0, count)).collect(),
            _ => vec![0; rows],
        },
        None => vec![0; rows],
    }
}

fn texts(arg: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    match arg {
        ColumnarValue::Scalar(scalar) => {
            let length = match scalar {
                ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => {
                    bytes.len()
                }
                other => other.try_as_str().flatten().map_or(0, str::len),
            };
            Ok(vec![length as u64; rows])
        }
        ColumnarValue::Array(array) => lengths(array),
    }
}

/// The length in bytes of each row's text; arrays that hold none are cast to text first.
fn lengths(array: &ArrayRef) -> Result<Vec<u64>> {
    fn of<T: AsRef<[u8]>>(values: impl Iterator<Item = Option<T>>) -> Vec<u64> {
        values.map(|value| value.map_or(0, |value| value.as_ref().len() as u64)).collect()
    }
    Ok(match array.data_type() {
        DataType::Utf8 => of(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => of(array.as_string::<i64>().iter()),
        DataType::Utf8View => of(array.as_string_view().iter()),
        DataType::Binary => of(array.as_binary::<i32>().iter()),
        DataType::LargeBinary => of(array.as_binary::<i64>().iter()),
        DataType::BinaryView => of(array.as_binary_view().iter()),
        DataType::Null => vec![0; array.len()],
        _ => of(arrow_cast::cast(array, &DataType::Utf8)?.as_string::<i32>().iter()),
    })
}

/// Makes 0 of negative counts, which mean the same: DataFusion reserves memory for the sum of all and overflows on them.
fn not_negative(counts: &mut ColumnarValue) -> Result<()> {
    match counts {
        ColumnarValue::Array(array) => {
            let numbers = arrow_cast::cast(array, &DataType::Int64)?;
            *array = Arc::new(numbers.as_primitive::<Int64Type>().unary::<_, Int64Type>(|count| count.max(0)));
        }
        ColumnarValue::Scalar(ScalarValue::Int64(Some(count))) => *count = (*count).max(0),
        ColumnarValue::Scalar(_) => {}
    }
    Ok(())
}

/// Counts, with negative ones and nulls as 0.
fn numbers(arg: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    let array = arg.clone().into_array(rows)?;
    let array = arrow_cast::cast(&array, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().iter().map(|count| count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)).collect())
}
