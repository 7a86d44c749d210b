//! How Java servers are started: small heaps and a compiler that is quick rather than good, as they live for minutes.

use crate::process::Launch;
use crate::tools::{find, limited};
use anyhow::Result;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The longest that a tool may take, in seconds.
const LIMIT: u32 = 120;

/// A Java program with its class path, arguments to follow.
#[derive(Clone, Debug)]
pub(crate) struct Java {
    launch: Launch,
}

impl Java {
    pub(crate) fn new(class_path: &str, krb5_conf: &Path, properties: &[String]) -> Result<Self> {
        let flags =
            ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.net.preferIPv4Stack=true"];
        let mut args = flags.map(OsString::from).to_vec();
        args.push(format!("-Djava.security.krb5.conf={}", krb5_conf.display()).into());
        args.extend(properties.iter().map(OsString::from));
        args.extend(["-cp".into(), class_path.into()]);
        Ok(Self { launch: Launch { program: find("java")?, args, env: Vec::new() } })
    }

    /// A server of this class.
    pub(crate) fn launch(&self, class: &str, args: &[&str]) -> Launch {
        let mut launch = self.launch.clone();
        launch.args.extend([class].iter().chain(args).map(OsString::from));
        launch
    }

    /// A tool of this class, which is run to its end.
    pub(crate) fn command(&self, class: &str, args: &[&str]) -> Command {
        let launch = self.launch(class, args);
        limited(LIMIT, &launch.program, launch.args)
    }
}
