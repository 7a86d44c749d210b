//! HDFS: NameNodes, a DataNode, and which NameNode is active.

use crate::folder::Folder;
use crate::http::get_json;
use crate::java::Java;
use crate::kdc::Kdc;
use crate::options::Hdfs as Kind;
use crate::ports::Ports;
use crate::process::{Process, Server};
use crate::tools::{command, run};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const NAME_NODE: &str = "org.apache.hadoop.hdfs.server.namenode.NameNode";
const DATA_NODE: &str = "org.apache.hadoop.hdfs.server.datanode.DataNode";
const HA_ADMIN: &str = "org.apache.hadoop.hdfs.tools.DFSHAAdmin";
const ADMIN: &str = "org.apache.hadoop.hdfs.tools.DFSAdmin";

/// The file system of a cluster.
#[derive(Debug)]
pub(crate) struct Hdfs {
    kind: Kind,
    java: Java,
    root: PathBuf,
    krb5_conf: PathBuf,
    keytab: PathBuf,
    http: [u16; 2],
}

impl Hdfs {
    /// With its configuration written.
    pub(crate) fn new(folder: &Folder, jars: &Path, kdc: &Kdc, kind: Kind, ports: &Ports) -> Result<Self> {
        let (conf, krb5_conf) = (folder.join("conf/hadoop"), kdc.conf("krb5.conf"));
        let home = format!("-Dhadoop.home.dir={}", folder.path().display());
        let java = Java::new(&format!("{}:{}/*", conf.display(), jars.display()), &krb5_conf, &[home])?;
        let http = ports.name_nodes.map(|(_, http)| http);
        Ok(Self { kind, java, root: folder.path().to_owned(), krb5_conf, keytab: kdc.keytab("nn"), http })
    }

    /// The servers it has.
    pub(crate) fn name_nodes(&self) -> &'static [Server] {
        if self.kind == Kind::Ha { &[Server::NameNode, Server::NameNode2] } else { &[Server::NameNode] }
    }

    /// Formats the NameNode's storage, for which it logs in: the KDC must be there.
    pub(crate) fn format(&self) -> Result<()> {
        let args = self.name_node_args(1);
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        args.extend(["-format", "-nonInteractive"]);
        run(&mut self.java.command(NAME_NODE, &args), None).context("cannot format the NameNode's storage")?;
        if self.kind == Kind::Ha {
            // What the second would otherwise fetch from the first.
            let [first, second] = ["hdfs/name1", "hdfs/name2"].map(|name| self.root.join(name));
            run(&mut command("cp", [OsString::from("-r"), first.into(), second.into()])?, None)?;
        }
        Ok(())
    }

    /// A server, not started yet.
    pub(crate) fn process(&self, server: Server) -> Process {
        let args = match server {
            Server::NameNode => self.name_node_args(1),
            Server::NameNode2 => self.name_node_args(2),
            _ => Vec::new(),
        };
        let class = if server == Server::DataNode { DATA_NODE } else { NAME_NODE };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Process::new(server, self.java.launch(class, &args), &self.root.join("log"))
    }

    fn name_node_args(&self, n: u8) -> Vec<String> {
        if self.kind == Kind::Ha { vec!["-D".to_owned(), format!("dfs.ha.namenode.id=nn{n}")] } else { Vec::new() }
    }

    /// The HTTP port of the NameNode that is active.
    pub(crate) fn active(&self) -> Result<u16> {
        let ports = &self.http[..self.name_nodes().len()];
        let is_active = |port: u16| self.bean(port, "NameNodeStatus").is_ok_and(|status| status["State"] == "active");
        ports.iter().copied().find(|port| is_active(*port)).context("no NameNode is active")
    }

    /// The NameNode that is active.
    pub(crate) fn active_server(&self) -> Result<Server> {
        let active = self.active()?;
        let at = self.http.iter().position(|port| *port == active);
        at.and_then(|at| self.name_nodes().get(at)).copied().context("no NameNode is active")
    }

    /// How many DataNodes the active NameNode hears from; none before it has left its safe mode.
    pub(crate) fn live_data_nodes(&self) -> Result<u64> {
        let active = self.active()?;
        let (state, info) = (self.bean(active, "FSNamesystemState")?, self.bean(active, "NameNodeInfo")?);
        let live = state["NumLiveDataNodes"].as_u64().context("the NameNode does not tell its DataNodes")?;
        Ok(if info["Safemode"] == "" { live } else { 0 })
    }

    /// Whether a NameNode answers questions about itself.
    pub(crate) fn answers(&self, server: Server) -> bool {
        self.bean(self.http[usize::from(server == Server::NameNode2)], "NameNodeStatus").is_ok()
    }

    fn bean(&self, port: u16, name: &str) -> Result<Value> {
        let mut answer = get_json(port, &format!("/jmx?qry=Hadoop:service=NameNode,name={name}"))?;
        ensure!(answer["beans"][0].is_object(), "the NameNode at port {port} knows nothing of {name}");
        Ok(answer["beans"][0].take())
    }

    /// Makes a NameNode the active one, and the other, if it answers, the standby.
    pub(crate) fn make_active(&self, server: Server) -> Result<()> {
        let (other, names) = match (self.kind, server) {
            (Kind::Ha, Server::NameNode) => (Server::NameNode2, ["nn1", "nn2"]),
            (Kind::Ha, Server::NameNode2) => (Server::NameNode, ["nn2", "nn1"]),
            _ => bail!("{server} is not one of a pair of NameNodes"),
        };
        if self.answers(other) {
            self.administer(HA_ADMIN, &["-transitionToStandby", names[1]])?;
        }
        // Without force it refuses when the other one is dead.
        self.administer(HA_ADMIN, &["-transitionToActive", "--forceactive", names[0]])
    }

    /// Has the NameNodes enter or leave their safe mode.
    pub(crate) fn safe_mode(&self, on: bool) -> Result<()> {
        self.administer(ADMIN, &["-safemode", if on { "enter" } else { "leave" }])
    }

    /// How many bytes the DataNodes can still take, as the active NameNode knows it.
    pub(crate) fn remaining(&self) -> Result<u64> {
        self.bean(self.active()?, "FSNamesystemState")?["CapacityRemaining"].as_u64().context("the NameNode does not tell what is free")
    }

    fn administer(&self, class: &str, args: &[&str]) -> Result<()> {
        run(self.java.command(class, args).envs(self.login()?), None).with_context(|| format!("{class} {args:?}"))?;
        Ok(())
    }

    /// Logs in as the NameNode, who is the super user, and gives the environment that knows it.
    fn login(&self) -> Result<[(&'static str, OsString); 2]> {
        let cache = format!("FILE:{}", self.root.join("caches/nn").display());
        let env = [("KRB5_CONFIG", self.krb5_conf.clone().into()), ("KRB5CCNAME", cache.into())];
        let args = [OsString::from("-k"), "-t".into(), self.keytab.clone().into(), "nn/localhost".into()];
        run(command("kinit", args)?.envs(env.clone()), None).context("cannot log in as the NameNode")?;
        Ok(env)
    }
}
