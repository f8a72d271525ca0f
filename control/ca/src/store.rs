//! The authority's material on disk: read back when it is there, made once when it is not.
//!
//! Files are made with mode 0600 and appear complete or not at all, so that two processes that
//! start together agree on one root. It knows files, not what is done with their content.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};
use crate::root::Root;
use crate::token::{KEY_SIZE, TokenKey};

/// Where the authority's files are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Root certificate, PEM.
    pub root_certificate: PathBuf,
    /// Root key, PEM.
    pub root_key: PathBuf,
    /// Key of bootstrap tokens, base64.
    pub token_key: PathBuf,
}

impl Paths {
    /// The files of a state directory: `ca-root.pem`, `ca-root.key` and `token.key`.
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            root_certificate: directory.join("ca-root.pem"),
            root_key: directory.join("ca-root.key"),
            token_key: directory.join("token.key"),
        }
    }
}

/// The root of the state directory; made when neither certificate nor key exists.
///
/// A key without a certificate (a start that was cut short) gets a new certificate; a certificate
/// without its key, or with another one's, is refused.
pub fn load_or_create_root(paths: &Paths, trust_domain: &str, now: SystemTime) -> Result<Root> {
    if paths.root_certificate.exists() && !paths.root_key.exists() {
        return Err(Error::Material {
            path: paths.root_key.clone(),
            reason: format!("the key of {} is missing", paths.root_certificate.display()),
        });
    }
    let key = read_or_create(&paths.root_key, true, Root::generate_key)?;
    let certificate = read_or_create(&paths.root_certificate, false, || Root::self_sign(&key, trust_domain, now))?;
    Root::from_pem(&certificate, &key, now).map_err(|error| match error {
        Error::Root(reason) => Error::Material { path: paths.root_certificate.clone(), reason },
        other => other,
    })
}

/// The token key of the state directory; made when it does not exist.
pub fn load_or_create_token_key(paths: &Paths) -> Result<TokenKey> {
    let text = read_or_create(&paths.token_key, true, || {
        let mut bytes = [0u8; KEY_SIZE];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
        Ok(STANDARD.encode(bytes))
    })?;
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    TokenKey::from_bytes(&bytes).ok_or_else(|| Error::Material {
        path: paths.token_key.clone(),
        reason: format!("it is not at least {KEY_SIZE} bytes in base64"),
    })
}

fn read_or_create(path: &Path, secret: bool, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match read(path, secret) {
        Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            create(path, &make()?)?;
            read(path, secret)
        }
        other => other,
    }
}

fn read(path: &Path, secret: bool) -> Result<String> {
    let failed = |source| Error::File { path: path.to_owned(), action: "read", source };
    let text = fs::read_to_string(path).map_err(failed)?;
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if secret && mode & 0o007 != 0 {
        let reason = format!("everybody may read or write this secret (mode {:o}): chmod 600 it", mode & 0o777);
        return Err(Error::Material { path: path.to_owned(), reason });
    }
    Ok(text)
}

/// Makes the file with its whole content, unless somebody else was faster: then theirs stays.
fn create(path: &Path, content: &str) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), action: "create", source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        });
    // Unlike a rename, a link fails when the name is taken.
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
        Ok(()) | Err(_) => removed.map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Claims;

    #[test]
    fn material_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::in_directory(&directory.path().join("state"));
        let now = SystemTime::now();
        let first = load_or_create_root(&paths, "cluster.local", now).unwrap();
        let again = load_or_create_root(&paths, "cluster.local", now).unwrap();
        assert_eq!(first.pem(), again.pem());
        let claims = Claims { namespace: "a".to_owned(), service_account: "b".to_owned(), expires: now };
        let token = load_or_create_token_key(&paths).unwrap().issue(&claims, now);
        load_or_create_token_key(&paths).unwrap().verify(&token, now).unwrap();
        for path in [&paths.root_key, &paths.token_key] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(directory.path().join("state")).unwrap().count(), 3, "no file is left behind");
    }

    #[test]
    fn broken_material_is_refused_and_named() {
        let now = SystemTime::now();
        let other_key = Root::generate_key().unwrap();
        type Break<'a> = (&'a str, Box<dyn Fn(&Paths)>, &'a str);
        let cases: Vec<Break<'_>> = vec![
            ("no key", Box::new(|p| fs::remove_file(&p.root_key).unwrap()), "is missing"),
            ("junk", Box::new(|p| fs::write(&p.root_certificate, "junk").unwrap()), "ca-root.pem"),
            ("another key", Box::new(move |p| fs::write(&p.root_key, &other_key).unwrap()), "another one"),
            (
                "public",
                Box::new(|p| fs::set_permissions(&p.root_key, fs::Permissions::from_mode(0o644)).unwrap()),
                "chmod 600",
            ),
            (
                "a directory",
                Box::new(|p| {
                    fs::remove_file(&p.root_key).unwrap();
                    fs::create_dir(&p.root_key).unwrap();
                }),
                "cannot read",
            ),
        ];
        for (what, damage, expect) in cases {
            let directory = tempfile::tempdir().unwrap();
            let paths = Paths::in_directory(directory.path());
            load_or_create_root(&paths, "cluster.local", now).unwrap();
            damage(&paths);
            let error = load_or_create_root(&paths, "cluster.local", now).unwrap_err().to_string();
            assert!(error.contains(expect), "{what}: {error}");
        }
    }

    #[test]
    fn a_root_is_finished_from_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::in_directory(directory.path());
        load_or_create_root(&paths, "cluster.local", SystemTime::now()).unwrap();
        fs::remove_file(&paths.root_certificate).unwrap();
        load_or_create_root(&paths, "cluster.local", SystemTime::now()).unwrap();
    }

    #[test]
    fn a_short_token_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::in_directory(directory.path());
        create(&paths.token_key, "c2hvcnQ=").unwrap();
        assert!(load_or_create_token_key(&paths).unwrap_err().to_string().contains("32 bytes"));
    }
}
