//! Flags of `orrery analyze`, which are istioctl's.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use orrery_analyze::{Analyzer, Level, Suppression};

use super::{MeshArgs, Output};

#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Files, directories of .yaml and .yml files, or - for standard input, as if they were applied
    #[arg(value_name = "FILE|DIR|-")]
    pub file: Vec<PathBuf>,
    /// Analyze the running mesh too [default: if there is one]
    #[arg(short = 'k', long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub use_kube: Option<bool>,
    /// Namespace of objects that do not name one
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Tell findings of every namespace of the running mesh, not only of the one given by -n
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Istio's MeshConfig [default: the one in the ConfigMap istio, if it is there]
    #[arg(long, alias = "meshConfigFile", value_name = "FILE")]
    pub mesh_config: Option<PathBuf>,
    /// Istio's MeshNetworks [default: those in the ConfigMap istio, if it is there]
    #[arg(long, value_name = "FILE")]
    pub mesh_networks: Option<PathBuf>,
    /// Files of another cluster of the same mesh; may be repeated
    #[arg(long, value_name = "NAME=FILE|DIR", value_parser = other_cluster)]
    pub cluster: Vec<(String, PathBuf)>,
    /// Read directories below directories too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Do not tell a finding, such as `IST0102=Namespace default`; * stands for anything; may be repeated
    #[arg(short = 'S', long, value_name = "CODE=RESOURCE")]
    pub suppress: Vec<Suppression>,
    /// Fail from this severity on
    #[arg(long, value_enum, ignore_case = true, default_value_t = Severity::Error)]
    pub failure_threshold: Severity,
    /// Tell findings from this severity on
    #[arg(long, value_enum, ignore_case = true, default_value_t = Severity::Info)]
    pub output_threshold: Severity,
    /// Run this analyzer only, by its name in the list; may be repeated
    #[arg(long, value_name = "NAME", value_parser = analyzer)]
    pub analyzer: Vec<Analyzer>,
    /// List the analyzers and do nothing else
    #[arg(short = 'L', long)]
    pub list_analyzers: bool,
    /// How findings are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

fn other_cluster(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), PathBuf::from(path))),
        Some(_) | None => Err("write <name of the cluster>=<file or directory>".to_owned()),
    }
}

fn analyzer(name: &str) -> Result<Analyzer, String> {
    orrery_analyze::find(name).ok_or_else(|| "there is no such analyzer; --list-analyzers lists them".to_owned())
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Severity {
    Info,
    #[value(alias = "warn")]
    Warning,
    Error,
}

impl Severity {
    pub fn level(self) -> Level {
        match self {
            Self::Info => Level::Info,
            Self::Warning => Level::Warning,
            Self::Error => Level::Error,
        }
    }
}
