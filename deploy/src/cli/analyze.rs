//! Flags of `orrery analyze`, which are istioctl's.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use orrery_analyze::{Level, Suppression};

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
    #[arg(long, value_name = "FILE")]
    pub mesh_config: Option<PathBuf>,
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
    /// List the analyzers and do nothing else
    #[arg(short = 'L', long)]
    pub list_analyzers: bool,
    /// How findings are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub mesh: MeshArgs,
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
