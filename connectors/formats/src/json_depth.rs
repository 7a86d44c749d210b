//! How deeply a JSON text is nested, found before a parser recurses into it.

/// Whether `text` opens more than `limit` objects and arrays into each other. Counts opening brackets first, wherever they stand,
/// which takes a few nanoseconds; only a text with more than `limit` of them is looked at closely.
#[inline]
pub(crate) fn deeper_than(text: &[u8], limit: usize) -> bool {
    text.len() > limit && brackets(text) > limit && nested_deeper_than(text, limit)
}

/// `[` and `{` differ in one bit. Counts in bytes, chunk by chunk, which compilers turn into vector instructions.
fn brackets(text: &[u8]) -> usize {
    let count = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(byte & 0xdf == b'[')).sum::<u8>();
    text.chunks(255).map(|chunk| usize::from(count(chunk))).sum()
}

/// Follows strings and brackets; a text that is no JSON is measured as far as it can be.
fn nested_deeper_than(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(text, at + 1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
        at += 1;
    }
    false
}

/// Where the string that begins at `at` has its closing quote, or the text its end.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(next) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += next;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_only_what_is_open_at_once() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(!deeper_than(&nested(64), 64));
        assert!(deeper_than(&nested(65), 64));
        assert!(!deeper_than("[],".repeat(100).as_bytes(), 64));
        assert!(!deeper_than(format!("\"\\\"{}\"", "[".repeat(100)).as_bytes(), 64));
        assert!(deeper_than(format!("\"\\\\\"{}", "{".repeat(65)).as_bytes(), 64));
    }

    fn slow(text: &[u8], limit: usize) -> bool {
        let (mut depth, mut deepest, mut string, mut escaped) = (0_usize, 0, false, false);
        for byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if string => escaped = true,
                b'"' => string = !string,
                b'[' | b'{' if !string => depth += 1,
                b']' | b'}' if !string => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest > limit
    }

    proptest! {
        #[test]
        fn agrees_with_a_slow_reference(text in "[\\[\\]{}\"\\\\a]{0,40}", limit in 0_usize..8) {
            prop_assert_eq!(deeper_than(text.as_bytes(), limit), slow(text.as_bytes(), limit));
        }
    }
}
