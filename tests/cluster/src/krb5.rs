//! `krb5.conf`, for servers and clients, and with faults.

use std::fmt::Write;
use std::time::Duration;

/// The realm of every cluster.
pub(crate) const REALM: &str = "STYGIAN.TEST";

/// What a `krb5.conf` says. [`Cluster::krb5`](crate::Cluster::krb5) gives the one that works; tests change what is to be wrong.
#[derive(Clone, Debug)]
pub struct Krb5Conf {
    /// The realm that names without one belong to.
    pub default_realm: String,
    /// The port of the cluster's realm's KDC. `None`: the file does not know the realm.
    pub kdc_port: Option<u16>,
    /// How long a ticket that is asked for shall live.
    pub ticket_life: Duration,
    /// How far clocks may be apart. The usual 300 s would accept tickets for so long after their end, too.
    pub clock_skew: Duration,
    /// Whether `localhost` is said to belong to the cluster's realm.
    pub domain_realm: bool,
}

impl Krb5Conf {
    pub(crate) fn new(kdc_port: u16, ticket_life: Duration) -> Self {
        let clock_skew = Duration::from_secs(5);
        Self { default_realm: REALM.to_owned(), kdc_port: Some(kdc_port), ticket_life, clock_skew, domain_realm: true }
    }

    /// The file's text. TCP only, no DNS, no reverse names.
    pub(crate) fn text(&self) -> String {
        let (life, skew) = (self.ticket_life.as_secs(), self.clock_skew.as_secs());
        let mut text = format!(
            "[libdefaults]\n  default_realm = {}\n  dns_lookup_kdc = false\n  dns_lookup_realm = false\n  dns_canonicalize_hostname = false\n  \
             rdns = false\n  udp_preference_limit = 1\n  clockskew = {skew}\n  kdc_timesync = 0\n  ticket_lifetime = {life}s\n  \
             renew_lifetime = 0\n[realms]\n",
            self.default_realm
        );
        // Writing to a string cannot fail.
        if let Some(port) = self.kdc_port {
            let _ = writeln!(text, "  {REALM} = {{\n    kdc = 127.0.0.1:{port}\n  }}");
        }
        if self.domain_realm {
            let _ = writeln!(text, "[domain_realm]\n  localhost = {REALM}");
        }
        text
    }
}
