//! `orrery telemetry`.

use orrery_telemetry::{Config, Listen, build};

use crate::cli::TelemetryArgs;
use crate::shutdown;

pub(crate) async fn run(arguments: TelemetryArgs) -> anyhow::Result<()> {
    let stop = shutdown::token(arguments.exit_with_parent)?;
    let listen = Listen {
        otlp_grpc: arguments.otlp_grpc,
        otlp_http: arguments.otlp_http,
        query: arguments.query,
        tracing: arguments.tracing,
        ui: arguments.ui,
    };
    let bound = build(Config { listen, retention: arguments.retention, ..Config::default() }).await?;
    super::announce("telemetry", &bound.addresses());
    let serving = bound.serve(stop.clone());
    shutdown::run(stop, serving).await
}
