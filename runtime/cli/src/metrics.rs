//! Metrics for Prometheus over HTTP, on a thread of their own.

use anyhow::{Context, anyhow};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use stygian_engine::Metrics;
use stygian_kerberos::Login;
use tiny_http::{Header, Method, Response, Server};

/// The one metric that is not the engine's.
const TICKET_SECONDS: &str = "stygian_kerberos_ticket_seconds";

/// Serves until it is dropped.
pub(crate) struct MetricsServer(Arc<Server>);

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.0.unblock();
    }
}

/// Starts to serve `/metrics`.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn serve(address: SocketAddr, metrics: Metrics, login: Option<Arc<Login>>) -> anyhow::Result<MetricsServer> {
    let server = Server::http(address).map_err(|error| anyhow!("cannot serve metrics on {address}: {error}"))?;
    let server = Arc::new(server);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics));
    if let Some(login) = login {
        registry.register_collector(Box::new(TicketLife(login)));
    }
    let serving = server.clone();
    let serve = move || {
        for request in serving.incoming_requests() {
            let response = answer(&registry, request.method(), request.url());
            // A client that went away has no use for an answer.
            let _ = request.respond(response);
        }
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(serve).context("cannot start the thread that serves metrics")?;
    Ok(MetricsServer(server))
}

/// What is left of the Kerberos ticket.
struct TicketLife(Arc<Login>);

impl std::fmt::Debug for TicketLife {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketLife")
    }
}

impl Collector for TicketLife {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let left = ConstGauge::new(self.0.remaining().as_secs_f64());
        let help = "Seconds that the Kerberos ticket lives, at least";
        let encoder = encoder.encode_descriptor(TICKET_SECONDS, help, None, MetricType::Gauge)?;
        left.encode(encoder)
    }
}

fn answer(registry: &Registry, method: &Method, url: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    if url != "/metrics" || *method != Method::Get {
        return Response::from_string("metrics are at /metrics\n").with_status_code(404);
    }
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, registry).is_err() {
        return Response::from_string("the metrics cannot be written\n").with_status_code(500);
    }
    let response = Response::from_string(text);
    match Header::from_bytes("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8") {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    }
}
