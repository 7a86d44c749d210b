//! Hadoop's configuration, which servers and clients read from the same folder.

use crate::folder::Folder;
use crate::kdc::Kdc;
use crate::krb5::REALM;
use crate::options::{Hdfs, Protection};
use crate::ports::Ports;
use crate::tools::write;
use anyhow::{Context, Result};
use std::path::Path;

/// The name of a pair of NameNodes.
pub(crate) const NAME_SERVICE: &str = "ns";

/// How many bytes a DataNode leaves free.
const RESERVED: &str = "dfs.datanode.du.reserved";

/// Standard output is the log.
const LOG4J: &str = "\
log4j.rootLogger=INFO,C
log4j.appender.C=org.apache.log4j.ConsoleAppender
log4j.appender.C.layout=org.apache.log4j.PatternLayout
log4j.appender.C.layout.ConversionPattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
";

type Properties = Vec<(String, String)>;

/// Where clients find HDFS.
pub(crate) fn url(hdfs: Hdfs, ports: &Ports) -> String {
    match hdfs {
        Hdfs::Ha => format!("hdfs://{NAME_SERVICE}"),
        Hdfs::None | Hdfs::One => format!("hdfs://localhost:{}", ports.name_nodes[0].0),
    }
}

/// Writes the configuration folder.
pub(crate) fn create(folder: &Folder, kdc: &Kdc, ports: &Ports, hdfs: Hdfs, transfer: Protection) -> Result<()> {
    let conf = folder.join("conf/hadoop");
    // The servers look for their web pages on the class path, and the jars lack them: empty ones suffice.
    for pages in ["hdfs", "datanode"] {
        std::fs::create_dir_all(conf.join("webapps").join(pages))?;
    }
    write(&conf.join("log4j.properties"), LOG4J)?;
    write(&conf.join("core-site.xml"), &xml(&core(folder, &url(hdfs, ports))))?;
    let mut site = common(transfer);
    site.extend(identities(kdc));
    site.extend(if hdfs == Hdfs::Ha { pair(folder, ports) } else { single(folder, ports) });
    site.extend(data_node(folder, ports));
    write(&conf.join("hdfs-site.xml"), &xml(&site))
}

/// Has the DataNode leave so many bytes free, from its next start on.
pub(crate) fn reserve(conf: &Path, bytes: u64) -> Result<()> {
    let site = conf.join("hdfs-site.xml");
    let text = std::fs::read_to_string(&site).with_context(|| format!("cannot read {}", site.display()))?;
    let value = format!("<name>{RESERVED}</name><value>");
    let (before, after) = text.split_once(&value).context("hdfs-site.xml does not say what a DataNode leaves free")?;
    let (_, after) = after.split_once('<').context("hdfs-site.xml is cut off")?;
    write(&site, &format!("{before}{value}{bytes}<{after}"))
}

fn core(folder: &Folder, url: &str) -> Properties {
    properties([
        ("fs.defaultFS", url),
        ("hadoop.tmp.dir", &folder.join("hdfs/tmp").display().to_string()),
        ("hadoop.security.authentication", "kerberos"),
        ("hadoop.security.authorization", "true"),
        ("hadoop.rpc.protection", "authentication"),
        ("hadoop.kerberos.min.seconds.before.relogin", "1"),
    ])
}

fn common(transfer: Protection) -> Properties {
    properties([
        ("dfs.replication", "1"),
        ("dfs.block.access.token.enable", "true"),
        ("dfs.data.transfer.protection", transfer.word()),
        // Where everything is encrypted, this is several times as fast as what is there without it.
        ("dfs.encrypt.data.transfer.cipher.suites", if transfer == Protection::Privacy { "AES/CTR/NoPadding" } else { "" }),
        // Ports below 1024 would need root.
        ("ignore.secure.ports.for.testing", "true"),
        ("dfs.http.policy", "HTTP_ONLY"),
        ("dfs.permissions.superusergroup", "nn"),
        ("dfs.namenode.safemode.extension", "0"),
        // A NameNode that comes back waits for every block: by default a thousandth may be missing, which is the only one of a small file.
        ("dfs.namenode.safemode.threshold-pct", "1.0"),
        ("dfs.namenode.fs-limits.min-block-size", "1024"),
        (RESERVED, "0"),
    ])
}

fn identities(kdc: &Kdc) -> Properties {
    let keytab = |name: &str| kdc.keytab(name).display().to_string();
    properties([
        ("dfs.namenode.kerberos.principal", &format!("nn/localhost@{REALM}")),
        ("dfs.namenode.keytab.file", &keytab("nn")),
        ("dfs.datanode.kerberos.principal", &format!("dn/localhost@{REALM}")),
        ("dfs.datanode.keytab.file", &keytab("dn")),
        ("dfs.web.authentication.kerberos.principal", &format!("HTTP/localhost@{REALM}")),
        ("dfs.web.authentication.kerberos.keytab", &keytab("HTTP")),
    ])
}

fn single(folder: &Folder, ports: &Ports) -> Properties {
    let (rpc, http) = ports.name_nodes[0];
    properties([
        ("dfs.namenode.name.dir", &format!("file://{}", folder.join("hdfs/name1").display())),
        ("dfs.namenode.rpc-address", &format!("localhost:{rpc}")),
        ("dfs.namenode.http-address", &format!("localhost:{http}")),
    ])
}

/// Two NameNodes that share their edits in a folder; which is active is said by hand.
fn pair(folder: &Folder, ports: &Ports) -> Properties {
    let failover = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";
    let mut all = properties([
        ("dfs.nameservices", NAME_SERVICE),
        (&format!("dfs.ha.namenodes.{NAME_SERVICE}"), "nn1,nn2"),
        ("dfs.namenode.shared.edits.dir", &format!("file://{}", folder.join("hdfs/shared").display())),
        ("dfs.ha.fencing.methods", "shell(/bin/true)"),
        ("dfs.ha.tail-edits.period", "1s"),
        (&format!("dfs.client.failover.proxy.provider.{NAME_SERVICE}"), failover),
    ]);
    for (n, (rpc, http)) in (1..).zip(ports.name_nodes) {
        let of = format!("{NAME_SERVICE}.nn{n}");
        all.extend(properties([
            (&format!("dfs.namenode.rpc-address.{of}"), &format!("localhost:{rpc}")),
            (&format!("dfs.namenode.http-address.{of}"), &format!("localhost:{http}")),
            (&format!("dfs.namenode.name.dir.{of}"), &format!("file://{}", folder.join(format!("hdfs/name{n}")).display())),
        ]));
    }
    all
}

fn data_node(folder: &Folder, ports: &Ports) -> Properties {
    let [data, ipc, http] = ports.data_node;
    properties([
        ("dfs.datanode.data.dir", &folder.join("hdfs/data").display().to_string()),
        ("dfs.datanode.hostname", "localhost"),
        ("dfs.datanode.address", &format!("localhost:{data}")),
        ("dfs.datanode.ipc.address", &format!("localhost:{ipc}")),
        ("dfs.datanode.http.address", &format!("localhost:{http}")),
    ])
}

fn properties<const N: usize>(all: [(&str, &str); N]) -> Properties {
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Nothing here needs to be escaped: the folder's path has nothing special in it.
fn xml(properties: &Properties) -> String {
    let each = properties.iter().map(|(name, value)| format!("  <property><name>{name}</name><value>{value}</value></property>\n"));
    format!("<configuration>\n{}</configuration>\n", each.collect::<String>())
}
