//! The cluster that the other tests stand on is a real one.

use std::time::Duration;

use orrery_tests::eventually::eventually;
use orrery_tests::kubernetes::Cluster;

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec: {containers: [{name: echo, image: echo}]}
";

#[tokio::test]
async fn deployments_become_pods_and_survive_the_api_server() {
    let mut cluster = Cluster::start(1).await;
    cluster.apply(DEPLOYMENT).expect("a deployment");
    let pods = |cluster: &Cluster| {
        let names = cluster.kubectl(&["get", "pods", "-l", "app=echo", "-o", "name"])?;
        if names.lines().count() == 2 { Ok(names) } else { Err(names) }
    };
    let before = eventually("two pods", Duration::from_secs(20), || async { pods(&cluster) }).await;
    cluster.restart_api_server().await;
    assert_eq!(pods(&cluster), Ok(before));
}
