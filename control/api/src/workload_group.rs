//! WorkloadGroup: what WorkloadEntries of one kind of machine have in common.

use std::collections::BTreeMap;

use crate::reader::{Fields, Reader};
use crate::selector::Labels;
use crate::service_entry::{WorkloadEntry, workload_template};

/// A WorkloadGroup.
#[derive(Clone, Debug)]
pub struct WorkloadGroup {
    /// Of the entries that are made of it.
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    /// Without address and labels.
    pub template: WorkloadEntry,
}

pub(crate) fn read(spec: Fields<'_>) -> Option<WorkloadGroup> {
    let (labels, annotations) = spec.fields("metadata").map(metadata).unwrap_or_default();
    let template = spec.require("template").and_then(|template| workload_template(&template));
    if let Some(probe) = spec.take("probe") {
        check_probe(&probe);
    }
    spec.finish(&["metadata", "template", "probe"]);
    Some(WorkloadGroup { labels, annotations, template: template? })
}

fn metadata(fields: Fields<'_>) -> (Labels, BTreeMap<String, String>) {
    let read = (Labels(fields.text_map("labels")), fields.text_map("annotations"));
    fields.finish(&["labels", "annotations"]);
    read
}

/// The agent on the machine makes the probe; here it only has to be one.
fn check_probe(reader: &Reader<'_>) {
    let Some(probe) = reader.fields() else { return };
    for name in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        probe.count(name);
    }
    let methods = ["httpGet", "tcpSocket", "exec", "grpc"];
    if methods.iter().filter(|name| probe.has(name)).count() != 1 {
        probe.report(format!("one of {} is expected", methods.join(", ")), "");
    }
    if let Some(get) = probe.fields("httpGet") {
        get.require("port").map(|port| port.number(1, 65_535));
        get.take("scheme").map(|scheme| scheme.word(&[("HTTP", ()), ("HTTPS", ())]));
        for name in ["path", "host", "httpHeaders"] {
            get.take(name);
        }
        get.finish(&["path", "port", "host", "scheme", "httpHeaders"]);
    }
    if let Some(socket) = probe.fields("tcpSocket") {
        socket.require("port").map(|port| port.number(1, 65_535));
        socket.take("host");
        socket.finish(&["host", "port"]);
    }
    if let Some(exec) = probe.fields("exec") {
        exec.require("command").map(|command| command.list());
        exec.finish(&["command"]);
    }
    if let Some(grpc) = probe.fields("grpc") {
        grpc.port("port");
        grpc.take("service");
        grpc.finish(&["port", "service"]);
    }
    probe.finish(&["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "httpGet", "tcpSocket", "exec", "grpc"]);
}
