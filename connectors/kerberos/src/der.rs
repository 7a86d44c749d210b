//! The two messages of Kerberos that `probe` needs, in DER: an AS-REQ written, the time of a KRB-ERROR read.

/// An encryption type that is assigned to nothing.
const NOBODYS_TYPE: u8 = 99;

/// An AS-REQ of a principal for its realm's ticket-granting ticket.
pub(crate) fn request(components: &[String], realm: &str) -> Vec<u8> {
    let options = tagged(0, &element(0x03, &[0, 0, 0, 0, 0]));
    let client = tagged(1, &name(1, components));
    let of_realm = tagged(2, &general(realm));
    let server = tagged(3, &name(2, &["krbtgt".to_owned(), realm.to_owned()]));
    let till = tagged(5, &element(0x18, b"20370913024805Z"));
    let nonce = tagged(7, &element(0x02, &[1]));
    let types = tagged(8, &element(0x30, &element(0x02, &[NOBODYS_TYPE])));
    let body = element(0x30, &[options, client, of_realm, server, till, nonce, types].concat());
    let version = tagged(1, &element(0x02, &[5]));
    let kind = tagged(2, &element(0x02, &[10]));
    element(0x6a, &element(0x30, &[version, kind, tagged(4, &body)].concat()))
}

/// The time of the KDC that a KRB-ERROR carries, in seconds since 1970.
pub(crate) fn kdc_time(message: &[u8]) -> Option<i64> {
    let (0x7e, inside, _) = read(message)? else { return None };
    let (0x30, mut fields, _) = read(inside)? else { return None };
    while let Some((tag, field, rest)) = read(fields) {
        if tag == 0xa4 {
            let (0x18, text, _) = read(field)? else { return None };
            return seconds(text);
        }
        fields = rest;
    }
    None
}

/// Seconds since 1970 of a time as `YYYYMMDDHHMMSSZ`.
fn seconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn name(kind: u8, components: &[String]) -> Vec<u8> {
    let texts: Vec<u8> = components.iter().flat_map(|text| general(text)).collect();
    element(0x30, &[tagged(0, &element(0x02, &[kind])), tagged(1, &element(0x30, &texts))].concat())
}

fn general(text: &str) -> Vec<u8> {
    element(0x1b, text.as_bytes())
}

fn tagged(number: u8, content: &[u8]) -> Vec<u8> {
    element(0xa0 | number, content)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut written = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => written.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            written.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            written.extend(digits);
        }
    }
    written.extend(content);
    written
}

/// The first element: its tag, its content, and what follows.
fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let digits = length & 0x7f;
        if digits == 0 || digits > 4 {
            return None;
        }
        let (number, after) = rest.split_at_checked(digits)?;
        length = number.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((*tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_counts_from_1970() {
        assert_eq!(seconds(b"19700101000000Z"), Some(0));
        assert_eq!(seconds(b"20000229120000Z"), Some(951_825_600));
        assert_eq!(seconds(b"20261129163435Z"), Some(1_795_970_075));
        assert_eq!(seconds(b"2026112916343Z"), None);
        assert_eq!(seconds(b"20261129163435"), None);
    }

    #[test]
    fn kdc_time_is_found_behind_optional_fields() {
        let time = tagged(4, &element(0x18, b"20000229120000Z"));
        let error = |fields: &[Vec<u8>]| element(0x7e, &element(0x30, &fields.concat()));
        let version = tagged(0, &element(0x02, &[5]));
        assert_eq!(kdc_time(&error(&[version.clone(), tagged(2, &element(0x18, b"19990101000000Z")), time])), Some(951_825_600));
        assert_eq!(kdc_time(&error(&[version])), None);
    }

    #[test]
    fn long_contents_have_long_lengths() {
        assert_eq!(element(0x30, &[0; 127])[..2], [0x30, 127]);
        assert_eq!(element(0x30, &[0; 200])[..3], [0x30, 0x81, 200]);
        assert_eq!(element(0x30, &[0; 300])[..4], [0x30, 0x82, 1, 44]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = kdc_time(&bytes);
            let _ = kdc_time(&element(0x7e, &element(0x30, &bytes)));
            let _ = seconds(&bytes);
        }

        #[test]
        fn what_is_written_is_read(content in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let written = element(0x30, &content);
            prop_assert_eq!(read(&written), Some((0x30, content.as_slice(), &[][..])));
        }
    }
}
