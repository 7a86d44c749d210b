//! How Avro messages say which schema they were written by, as Confluent's clients do it: a byte 0, the schema's id in the registry as a
//! big-endian number of 32 bits, then the value in Avro's binary encoding.

/// Bytes before the value.
const FRAME: usize = 5;

/// The frame of a schema's messages.
pub fn avro_frame(id: u32) -> [u8; FRAME] {
    let [a, b, c, d] = id.to_be_bytes();
    [0, a, b, c, d]
}

/// The id of a message's schema, and its value.
///
/// # Errors
/// Why it is none.
pub fn avro_framed(message: &[u8]) -> Result<(u32, &[u8]), String> {
    match message {
        [] => Err("empty".into()),
        [0, a, b, c, d, value @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), value)),
        [0, ..] => Err(format!("not framed as a registry's messages are: {} bytes, fewer than the {FRAME} of a frame", message.len())),
        [first, ..] => Err(format!("not framed as a registry's messages are: it begins with the byte {first}, not 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_zero_and_an_id() {
        assert_eq!(avro_framed(&[0, 0, 0, 1, 2, 9]), Ok((258, &[9][..])));
        assert_eq!(avro_framed(&[0, 0xff, 0xff, 0xff, 0xff]), Ok((u32::MAX, &[][..])));
        assert_eq!(avro_frame(258), [0, 0, 0, 1, 2]);
    }

    #[test]
    fn says_what_is_no_frame() {
        let told = |message: &[u8]| avro_framed(message).expect_err("none");
        assert_eq!(told(b""), "empty");
        assert_eq!(told(&[0, 1, 2, 3]), "not framed as a registry's messages are: 4 bytes, fewer than the 5 of a frame");
        assert_eq!(told(b"{\"user\":1}"), "not framed as a registry's messages are: it begins with the byte 123, not 0");
    }
}
