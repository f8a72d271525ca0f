//! Secrets and ConfigMaps with what they should have, and with all that can be wrong with it.

use rcgen::{CertificateParams, KeyPair as NewKey};

use crate::{Object, Problem, Spec, parse};

/// A self-signed certificate and its key in PEM.
fn issued() -> (String, String) {
    let key = NewKey::generate().unwrap();
    let certificate = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn secret(entries: &[(&str, &str)]) -> Object {
    read("Secret", "stringData", entries).unwrap()
}

fn read(kind: &str, under: &str, entries: &[(&str, &str)]) -> Result<Object, Vec<Problem>> {
    let entries: serde_json::Map<_, _> =
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let mut document = serde_json::json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
    document[under] = entries.into();
    parse(&document.to_string(), "f", "shop").map(|mut objects| objects.remove(0))
}

fn key_pair(object: &Object) -> Result<(), String> {
    let Spec::Secret(secret) = &object.spec else { panic!("{:?}", object.spec) };
    secret.key_pair.as_ref().map(drop).map_err(ToString::to_string)
}

fn roots(object: &Object) -> Result<(), String> {
    let roots = match &object.spec {
        Spec::Secret(secret) => &secret.roots,
        Spec::ConfigMap(map) => &map.roots,
        other => panic!("{other:?}"),
    };
    roots.as_ref().map(drop).map_err(ToString::to_string)
}

#[test]
fn key_pairs_are_found_and_checked() {
    let ((certificate, key), (other, _)) = (issued(), issued());
    let chain = format!("{certificate}{other}");
    for entries in [
        [("tls.crt", certificate.as_str()), ("tls.key", key.as_str())],
        [("cert", &certificate), ("key", &key)],
        [("tls.crt", &chain), ("tls.key", &key)],
    ] {
        assert_eq!(key_pair(&secret(&entries)), Ok(()));
    }
    let broken = certificate.replace("MII", "MIM");
    for (entries, expect) in [
        (vec![], "it has no entry tls.crt and tls.key, or cert and key"),
        (vec![("tls.crt", certificate.as_str())], "it has no entry"),
        (vec![("tls.crt", &certificate), ("tls.key", "")], "its entry tls.key is empty"),
        (vec![("tls.crt", "Hello world"), ("tls.key", &key)], "its entry tls.crt has no certificate in PEM"),
        (vec![("tls.crt", &certificate), ("tls.key", "Hello world")], "its entry tls.key has no private key in PEM"),
        (vec![("tls.crt", &broken), ("tls.key", &key)], "tls.crt"),
        (vec![("tls.crt", &other), ("tls.key", &key)], "does not belong to the certificate"),
        (
            vec![("cert", &other), ("key", &key), ("tls.crt", &certificate), ("tls.key", &key)],
            "entry key does not belong",
        ),
    ] {
        let error = key_pair(&secret(&entries)).unwrap_err();
        assert!(error.contains(expect), "{error}");
        assert!(!error.contains("Hello"), "{error}");
    }
}

#[test]
fn roots_are_found_and_checked() {
    let (certificate, _) = issued();
    for kind in ["Secret", "ConfigMap"] {
        let under = if kind == "Secret" { "stringData" } else { "data" };
        let read = |entries: &[(&str, &str)]| roots(&read(kind, under, entries).unwrap());
        assert_eq!(read(&[("ca.crt", &certificate)]), Ok(()), "{kind}");
        assert_eq!(read(&[("cacert", &certificate)]), Ok(()), "{kind}");
        for (entries, expect) in [
            (vec![], "it has no entry ca.crt or cacert"),
            (vec![("ca.crt", "")], "its entry ca.crt is empty"),
            (vec![("ca.crt", "invalid")], "its entry ca.crt has no certificate in PEM"),
            (vec![("ca.crt", certificate.as_str()), ("ca.crl", "x")], "its entry ca.crl has no revocation list in PEM"),
        ] {
            assert_eq!(read(&entries), Err(expect.to_owned()), "{kind}");
        }
    }
}

#[test]
fn a_secret_is_shown_nowhere_and_kept_whole() {
    let (certificate, key) = issued();
    let mut object = secret(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let text = object.to_yaml().replace(
        "metadata:",
        "metadata:\n  annotations: {kubectl.kubernetes.io/last-applied-configuration: 'hunter2'}",
    );
    object = parse(&text, "g", "x").unwrap().remove(0);
    for shown in [format!("{object:?}"), object.raw.to_string()] {
        assert!(!shown.contains("PRIVATE") && !shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(object.raw.to_value()["data"]["tls.key"], "(redacted)");
    let again = parse(&object.to_yaml(), "h", "x").unwrap().remove(0);
    assert_eq!(key_pair(&again), Ok(()));
    assert_eq!(object, again);
    let (other, other_key) = issued();
    assert_ne!(
        secret(&[("tls.crt", &certificate), ("tls.key", &key)]),
        secret(&[("tls.crt", &other), ("tls.key", &other_key)])
    );
}

#[test]
fn what_kubernetes_would_not_take_is_refused_without_repeating_it() {
    let large = "A".repeat((1 << 20) + 4);
    for (under, name, value, expect) in [
        ("data", "tls.key", "hunter2!", "this is no base64"),
        ("data", "tls.key", "(redacted)", "this is no base64"),
        ("stringData", "a/b", "x", "is no name of an entry"),
        ("stringData", "a", &large, "at most 1048576 are taken"),
        ("nowhere", "a", "x", "this field is not known"),
    ] {
        let problems = read("Secret", under, &[(name, value)]).unwrap_err();
        assert!(problems[0].message.contains(expect), "{problems:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
    let problems =
        parse("{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {pin: 4711}}", "f", "x").unwrap_err();
    assert!(problems[0].message == "text is expected here" && problems[0].field == "data.pin", "{problems:?}");
}
