//! Hadoop's configuration: core-site.xml and hdfs-site.xml of one folder, the later winning.
//!
//! hdfs-native reads the same files, but takes values as they stand. Here they are trimmed, and `${name}` is replaced as Hadoop does it; the
//! library is then given these. What is looked at here is only what decides whether a call can go well at all.

use crate::Fault;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the folder is if the options do not say it.
const VARIABLE: &str = "HADOOP_CONF_DIR";
const CORE: &str = "core-site.xml";
const SITE: &str = "hdfs-site.xml";

/// Before the name of a name service: the property with the ids of its NameNodes.
const PAIRS: &str = "dfs.ha.namenodes.";
/// The port of a NameNode that says none.
const PORT: u16 = 8020;

/// How often names in values are replaced: they may be in what they are replaced by.
const MAX_DEPTH: usize = 20;

/// What a configuration folder says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conf {
    /// The folder; `None`: there is none, and all is as by default.
    pub(crate) folder: Option<PathBuf>,
    values: BTreeMap<String, String>,
}

impl Conf {
    /// The folder that the options name, else that of the environment.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Fault> {
        let of_environment = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        match named.map(Path::to_owned).or_else(of_environment) {
            Some(folder) => Self::read(&folder),
            None => Ok(Self::default()),
        }
    }

    fn read(folder: &Path) -> Result<Self, Fault> {
        if !folder.is_dir() {
            return Err(Fault::ConfMissing { folder: folder.to_owned() });
        }
        if !folder.join(CORE).is_file() {
            return Err(Fault::ConfWithoutCore { folder: folder.to_owned() });
        }
        let mut values = BTreeMap::new();
        for file in [CORE, SITE].map(|name| folder.join(name)) {
            if file.exists() {
                let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
                values.extend(properties(&text).map_err(|error| unreadable(&file, &error))?);
            }
        }
        let values = values.iter().map(|(name, value)| (name.clone(), listed(name, replaced(value, &values)))).collect();
        Ok(Self { folder: Some(folder.to_owned()), values })
    }

    /// The value of a property.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// All, for the library.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter()
    }

    /// How the folder is called in messages.
    pub(crate) fn shown(&self) -> String {
        self.folder.as_ref().map_or_else(|| "the configuration (there is none)".to_owned(), |folder| folder.display().to_string())
    }

    /// Whether the login is by Kerberos.
    pub(crate) fn is_kerberos(&self) -> bool {
        self.authentication().eq_ignore_ascii_case("kerberos")
    }

    /// How one logs in.
    pub(crate) fn authentication(&self) -> &str {
        self.get("hadoop.security.authentication").unwrap_or("simple")
    }

    /// Whether a login at DataNodes is configured.
    pub(crate) fn guards_data(&self) -> bool {
        self.get("dfs.data.transfer.protection").is_some()
    }

    /// The name services that it knows.
    pub(crate) fn name_services(&self) -> Vec<String> {
        let known = self.get("dfs.nameservices").unwrap_or_default();
        known.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// The NameNodes behind a name: of a name service those that are listed, of `host:port` itself; of a host, where no name services are
    /// configured, that at the usual port.
    pub(crate) fn name_nodes(&self, name: &str) -> Vec<String> {
        if name.contains(':') {
            return vec![name.to_owned()];
        }
        let address = |of: &str| self.get(&format!("dfs.namenode.rpc-address.{of}")).map(str::to_owned);
        match self.get(&format!("{PAIRS}{name}")) {
            Some(ids) => ids.split(',').filter_map(|id| address(&format!("{name}.{id}"))).collect(),
            None if self.name_services().is_empty() => vec![format!("{name}:{PORT}")],
            None => address(name).into_iter().collect(),
        }
    }
}

/// A list of NameNodes without the blanks that people write into it, which the library would take for parts of names.
fn listed(name: &str, value: String) -> String {
    if name.starts_with(PAIRS) { value.split_whitespace().collect() } else { value }
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::ConfUnreadable { file: file.to_owned(), reason: stygian_core::escape(&error.to_string(), 300) }
}

fn properties(text: &str) -> Result<Vec<(String, String)>, roxmltree::Error> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    let tree = roxmltree::Document::parse_with_options(text, options)?;
    let properties = tree.root_element().children().filter(|node| node.has_tag_name("property"));
    let one = |property: roxmltree::Node<'_, '_>| {
        let text = |name| property.children().find(|node| node.has_tag_name(name)).and_then(|node| node.text()).map(str::trim);
        Some((text("name")?.to_owned(), text("value").unwrap_or_default().to_owned()))
    };
    Ok(properties.filter_map(one).filter(|(_, value)| !value.is_empty()).collect())
}

/// A value with every `${name}` that is known replaced by that one's value.
fn replaced(value: &str, all: &BTreeMap<String, String>) -> String {
    let mut value = value.to_owned();
    for _ in 0..MAX_DEPTH {
        let Some((start, end)) = value.find("${").and_then(|start| Some((start, start + value.get(start..)?.find('}')?))) else { break };
        let Some(other) = value.get(start + 2..end).and_then(|name| all.get(name)).cloned() else { break };
        value.replace_range(start..=end, &other);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(core: &str, site: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(CORE), core).expect("written");
        std::fs::write(folder.path().join(SITE), site).expect("written");
        folder
    }

    fn property(name: &str, value: &str) -> String {
        format!("<property>\n<name>{name}</name>\n<!-- why -->\n<value>\n {value} </value><final>true</final></property>")
    }

    #[test]
    fn takes_the_later_file_trims_and_replaces() {
        let core = ["<?xml version=\"1.0\"?><configuration>", &property("a", "1"), &property("empty", ""), "</configuration>"].concat();
        let more =
            [property("a", "2"), property("b", "${a}/${c}"), property("c", "${a}"), property("d", "${e}${a}"), property("f", "${f}")];
        let folder = folder(&core, &format!("<configuration>{}</configuration>", more.concat()));
        let conf = Conf::find(Some(folder.path())).expect("read");
        let got = ["a", "b", "d", "f", "empty"].map(|name| conf.get(name));
        assert_eq!(got, [Some("2"), Some("2/2"), Some("${e}${a}"), Some("${f}"), None]);
        assert!(!conf.is_kerberos() && !conf.guards_data());
    }

    #[test]
    fn knows_the_name_nodes_of_a_name() {
        let site = [
            property("dfs.nameservices", "ns, other,one"),
            property("dfs.namenode.rpc-address.one", "d:8020"),
            property("dfs.ha.namenodes.ns", "nn1, nn2,nn3"),
            property("dfs.namenode.rpc-address.ns.nn1", "a:8020"),
            property("dfs.namenode.rpc-address.ns.nn2", "b:8020"),
        ];
        let folder = folder("<configuration/>", &format!("<configuration>{}</configuration>", site.concat()));
        let conf = Conf::find(Some(folder.path())).expect("read");
        assert_eq!(conf.name_nodes("ns"), ["a:8020", "b:8020"]);
        assert_eq!(conf.name_nodes("other"), [""; 0]);
        assert_eq!(conf.name_nodes("one"), ["d:8020"]);
        assert_eq!(Conf::default().name_nodes("host"), ["host:8020"]);
        assert_eq!(conf.name_nodes("c:1"), ["c:1"]);
        assert_eq!(conf.name_services(), ["ns", "other", "one"]);
    }
}
