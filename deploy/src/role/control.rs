//! `orrery control`.

use std::path::Path;

use anyhow::Context;
use orrery_api::MeshConfig;
use orrery_control::{AccessLog, Addresses, Config, Mesh, build};

use crate::cli::{AccessLog as LogFlag, ControlArgs, OutboundPolicy};
use crate::shutdown;

const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";

pub(crate) async fn run(arguments: ControlArgs) -> anyhow::Result<()> {
    let stop = shutdown::token(arguments.exit_with_parent)?;
    let admin_token = arguments
        .admin_token_file
        .as_ref()
        .map(|file| std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display())));
    let mesh_config = mesh_config(arguments.mesh_config.as_deref())?;
    let trust_domain = mesh_config.trust_domain.clone();
    let config = Config {
        mesh_config,
        admin_token: admin_token.transpose()?.map(|token| token.trim().to_owned()),
        config_dir: arguments.config_dir,
        state_dir: arguments.state_dir,
        addresses: Addresses {
            xds: arguments.xds,
            xds_plaintext: Some(arguments.xds_plaintext),
            debug: arguments.debug,
        },
        trust_domain: arguments.trust_domain.or(trust_domain).unwrap_or_else(|| DEFAULT_TRUST_DOMAIN.to_owned()),
        cluster_id: arguments.cluster_id,
        domain: arguments.domain,
        mesh: Mesh {
            allow_unknown_destinations: arguments.outbound_traffic_policy == OutboundPolicy::AllowAny,
            access_log: match arguments.access_log {
                LogFlag::Off => AccessLog::Off,
                LogFlag::Text => AccessLog::Text,
                LogFlag::Json => AccessLog::Json,
            },
            trace_sampling: arguments.trace_sampling,
            strict_mtls: arguments.strict_mtls,
        },
        server_names: arguments.server_names,
        ..Config::default()
    };
    let bound = build(config).await?;
    super::announce("control", &bound.addresses());
    let serving = bound.serve(stop.clone());
    shutdown::run(stop, serving).await
}

/// What is wrong with the file, or has no effect, is told; everything else of it holds.
fn mesh_config(file: Option<&Path>) -> anyhow::Result<MeshConfig> {
    let Some(file) = file else { return Ok(MeshConfig::default()) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (config, problems) = MeshConfig::read(&text, &file.display().to_string());
    for problem in problems {
        tracing::warn!("{problem}");
    }
    Ok(config)
}
