//! Metrics for Prometheus over HTTP, on a thread of their own.

use anyhow::{Context, anyhow};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use stygian_engine::Metrics;
use tiny_http::{Header, Method, Response, Server};

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
pub(crate) fn serve(address: SocketAddr, metrics: Metrics) -> anyhow::Result<MetricsServer> {
    let server = Server::http(address).map_err(|error| anyhow!("cannot serve metrics on {address}: {error}"))?;
    let server = Arc::new(server);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics));
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
