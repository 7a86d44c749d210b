//! Text of strangers (plugins, data, peers) made safe to print: no control characters, no terminal escapes, bounded length.

/// `text` with control, format and line-breaking characters escaped, cut after `limit` characters (`...` then follows).
pub fn escape(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for (n, c) in text.chars().enumerate() {
        if n == limit {
            out.push_str("...");
            break;
        }
        push_escaped(&mut out, c);
    }
    out
}

/// As [`escape`], for bytes that need not be UTF-8 (wrong ones print as `\xNN`).
pub fn escape_bytes(bytes: &[u8], limit: usize) -> String {
    let head = &bytes[..bytes.len().min(limit.saturating_mul(4))];
    let mut out = String::with_capacity(head.len());
    for chunk in head.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut out, c));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if head.len() < bytes.len() || out.chars().count() > limit {
        out = out.chars().take(limit).collect();
        out.push_str("...");
    }
    out
}

fn push_escaped(out: &mut String, c: char) {
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || hidden { out.extend(c.escape_default()) } else { out.push(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_terminal_sequences_and_newlines() {
        assert_eq!(escape("a\u{1b}[31m\nb", 100), "a\\u{1b}[31m\\nb");
        assert_eq!(escape("\u{202e}abc", 100), "\\u{202e}abc");
    }

    #[test]
    fn cuts_long_text_at_a_character() {
        assert_eq!(escape("äöü", 2), "äö...");
        assert_eq!(escape("äö", 2), "äö");
    }

    #[test]
    fn shows_bytes_that_are_not_text() {
        assert_eq!(escape_bytes(b"ok\xff\0", 100), "ok\\xff\\u{0}");
        assert_eq!(escape_bytes(b"abcdef", 3), "abc...");
    }
}
