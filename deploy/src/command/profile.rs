//! `orrery profile list` and `dump`.

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::json;

use crate::cli::{Output, ProfileCommand};
use crate::print;
use crate::profile::{DumpFormat, Name};

pub(super) fn run(command: ProfileCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProfileCommand::List { output } => list(output)?,
        ProfileCommand::Dump { profile, config_path, output } => {
            let whole = profile.operator()?;
            let part = match config_path {
                Some(path) => crate::profile::under(&whole["spec"], &path)?.clone(),
                None => whole,
            };
            match output {
                DumpFormat::Yaml => print::yaml(&part)?,
                DumpFormat::Json => print::json(&part)?,
                DumpFormat::Flags => print::data(&crate::profile::flags(&part).join("\n"))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(output: Output) -> anyhow::Result<()> {
    let names = Name::value_variants().iter().map(|name| name.text());
    match output {
        Output::Table => {
            print::data(&format!("Configuration profiles:\n    {}", names.collect::<Vec<_>>().join("\n    ")))
        }
        Output::Json => print::json(&names.map(|name| json!(name)).collect()),
        Output::Yaml => print::data(&names.map(|name| format!("- {name}\n")).collect::<String>()),
    }
}
