//! Where something is in HDFS: `hdfs://NAME/folder/file`, where NAME is a name service or `host:port` of a NameNode.
//!
//! Paths are Hadoop's: nothing in them is escaped, `%20` is three characters. They come out absolute, without empty parts and without a `/` at
//! the end.

use crate::Fault;

/// What URLs of HDFS begin with.
const SCHEME: &str = "hdfs://";

/// A place in HDFS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name service or `host:port`; `None`: that of the options, or of `fs.defaultFS`.
    pub name: Option<String>,
    /// The absolute path.
    pub path: String,
}

impl Location {
    /// Reads `hdfs://NAME/path`, `hdfs:///path` or `/path`.
    ///
    /// # Errors
    /// [`Fault::BadPlace`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let bad = |reason| Fault::BadPlace { text: text.to_owned(), reason };
        let (name, path) = match text.strip_prefix(SCHEME) {
            Some(rest) => {
                let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(name).filter(|name| !name.is_empty()), path)
            }
            None if text.contains("://") => return Err(bad("it is not of the scheme hdfs")),
            None => (None, text),
        };
        if let Some(name) = name {
            check_name(name).map_err(bad)?;
        }
        if !path.is_empty() && !path.starts_with('/') {
            return Err(bad("the path does not begin with `/`"));
        }
        Ok(Self { name: name.map(str::to_owned), path: normal(path).map_err(bad)? })
    }

    /// Reads the name alone: `hdfs://NAME`, with nothing behind it.
    pub(crate) fn parse_name(text: &str) -> Result<String, Fault> {
        let place = Self::parse(text.trim())?;
        let bad = |reason| Fault::BadPlace { text: text.to_owned(), reason };
        if place.path != "/" {
            return Err(bad("there is a path behind the name"));
        }
        place.name.ok_or_else(|| bad("it names no name service and no NameNode"))
    }
}

/// The path without empty parts.
pub(crate) fn normal(path: &str) -> Result<String, &'static str> {
    let mut whole = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match part {
            "." | ".." => return Err("`.` and `..` are no names in HDFS"),
            part if part.contains(':') => return Err("names in HDFS have no `:`"),
            part if part.chars().any(char::is_control) => return Err("there is a control character in it"),
            part => {
                whole.push('/');
                whole.push_str(part);
            }
        }
    }
    if whole.is_empty() {
        whole.push('/');
    }
    Ok(whole)
}

/// The folder that a path is in.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => path.get(..at).unwrap_or("/"),
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let (host, port) = name.split_once(':').map_or((name, None), |(host, port)| (host, Some(port)));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err("a name has letters, digits and - . _ only");
    }
    match port.map(str::parse::<u16>) {
        Some(Err(_) | Ok(0)) => Err("the port is no number of a port"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, String) {
        let place = Location::parse(text).expect(text);
        (place.name, place.path)
    }

    #[test]
    fn reads_name_and_path() {
        assert_eq!(parsed("hdfs://ns/user/x/out"), (Some("ns".into()), "/user/x/out".into()));
        assert_eq!(parsed("hdfs://nn1.example.org:8020//a//b/"), (Some("nn1.example.org:8020".into()), "/a/b".into()));
        assert_eq!(parsed("hdfs://ns"), (Some("ns".into()), "/".into()));
        assert_eq!(parsed("hdfs:///a b/%20?#"), (None, "/a b/%20?#".into()));
        assert_eq!(parsed("/a"), (None, "/a".into()));
        assert_eq!(parent("/a/b"), "/a");
        assert_eq!((parent("/a"), parent("/")), ("/", "/"));
    }

    #[test]
    fn refuses_what_is_no_place() {
        let wrong =
            ["s3://b/x", "a/b", "hdfs://a b/x", "hdfs://u@h/x", "hdfs://h:x/y", "hdfs://h:0/y", "hdfs://h/../x", "/a/./b", "/a:b", "/a\nb"];
        for text in wrong {
            assert!(matches!(Location::parse(text), Err(Fault::BadPlace { .. })), "{text}");
        }
        assert!(Location::parse_name("hdfs://ns/x").is_err() && Location::parse_name("hdfs:///").is_err());
        assert_eq!(Location::parse_name(" hdfs://ns/ ").expect("a name"), "ns");
    }
}
