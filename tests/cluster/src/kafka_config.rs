//! The broker's configuration.
//!
//! Clients may come by GSSAPI, SCRAM or PLAIN on the SASL listeners, or with a certificate on the TLS one; a name is the same user however
//! it comes. The broker talks to itself with a password and only ever accepts tickets, so it starts and goes on without a KDC: what a
//! test sees when the KDC is away is the client's own doing.

use crate::kdc::{Kdc, USERS};
use crate::krb5::REALM;
use crate::ports::Ports;
use crate::tls::Tls;
use std::path::Path;
use std::time::Duration;

/// The password of a user, for SCRAM and PLAIN.
pub(crate) fn password(user: &str) -> String {
    format!("{user}-secret")
}

/// What is the same in every cluster.
const FIXED: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=SASL_PLAINTEXT
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
sasl.enabled.mechanisms=GSSAPI,SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
sasl.kerberos.service.name=kafka
ssl.keystore.type=PEM
ssl.truststore.type=PEM
listener.name.ssl.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:kafka;User:admin
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
";

/// Standard output is the log.
pub(crate) const LOG4J: &str = "\
rootLogger.level=INFO
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
";

/// The text of `kafka.properties`.
pub(crate) fn properties(kdc: &Kdc, tls: &Tls, ports: &Ports, data: &Path, plaintext: bool, reauthentication: Option<Duration>) -> String {
    let open = if plaintext { format!(",PLAINTEXT://localhost:{}", ports.plaintext) } else { String::new() };
    let (sasl, sasl_ssl, ssl, controller) = (ports.sasl, ports.sasl_ssl, ports.ssl, ports.controller);
    let public = format!("SASL_PLAINTEXT://localhost:{sasl},SASL_SSL://localhost:{sasl_ssl},SSL://localhost:{ssl}{open}");
    let protocols = ["SASL_PLAINTEXT", "SASL_SSL", "SSL", "PLAINTEXT"].map(|name| format!("{name}:{name},")).concat();
    let lines = [
        ("controller.quorum.voters", format!("1@localhost:{controller}")),
        ("listeners", format!("{public},CONTROLLER://localhost:{controller}")),
        ("advertised.listeners", public),
        ("listener.security.protocol.map", format!("{protocols}CONTROLLER:SASL_PLAINTEXT")),
        ("ssl.keystore.location", tls.file("server.pem").display().to_string()),
        ("ssl.truststore.location", tls.file("ca.pem").display().to_string()),
        ("connections.max.reauth.ms", reauthentication.unwrap_or_default().as_millis().to_string()),
        ("log.dirs", data.display().to_string()),
        ("listener.name.controller.plain.sasl.jaas.config", plain()),
    ];
    let mut text = FIXED.to_owned();
    for (name, value) in lines {
        text += &format!("{name}={value}\n");
    }
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        for (mechanism, login) in [("gssapi", gssapi(kdc)), ("plain", plain()), ("scram-sha-256", scram()), ("scram-sha-512", scram())] {
            text += &format!("listener.name.{listener}.{mechanism}.sasl.jaas.config={login}\n");
        }
    }
    text
}

/// Only accepts: a service needs no ticket of its own for that.
fn gssapi(kdc: &Kdc) -> String {
    let keytab = kdc.keytab("kafka");
    format!(
        "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true isInitiator=false keyTab=\"{}\" \
         principal=\"kafka/localhost@{REALM}\";",
        keytab.display()
    )
}

fn plain() -> String {
    let users: String = USERS.iter().chain(&["kafka"]).map(|user| format!(" user_{user}=\"{}\"", password(user))).collect();
    let own = password("kafka");
    format!("org.apache.kafka.common.security.plain.PlainLoginModule required username=\"kafka\" password=\"{own}\"{users};")
}

fn scram() -> String {
    "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned()
}
