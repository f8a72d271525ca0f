//! The mesh on a real Kubernetes API: etcd, kube-apiserver and kube-controller-manager as processes of the test.

mod cluster;
