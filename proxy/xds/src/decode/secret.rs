//! Secrets.

use std::mem::take;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use orrery_core::secret::{PrivateKeyPem, Secret, SecretContent};

use super::plain::inline;
use super::{Result, Within, nothing_left, refuse};

pub(crate) fn secret(secret: pb::Secret) -> Result<Secret> {
    let content = match secret.r#type {
        Some(Type::TlsCertificate(mut certificate)) => {
            let chain = text(certificate.certificate_chain.take()).within("certificate_chain")?;
            let key = text(certificate.private_key.take()).within("private_key")?;
            nothing_left(&certificate)?;
            SecretContent::Certificate { chain: chain.into(), key: PrivateKeyPem::new(key) }
        }
        Some(Type::ValidationContext(mut context)) => {
            let bundle = text(context.trusted_ca.take()).within("trusted_ca")?;
            take(&mut context.match_typed_subject_alt_names);
            let revoked = context.crl.take().map(|crl| text(Some(crl))).transpose().within("crl")?;
            nothing_left(&context)?;
            SecretContent::Roots { bundle: bundle.into(), revoked: revoked.map(Into::into) }
        }
        Some(Type::SessionTicketKeys(_) | Type::GenericSecret(_)) | None => {
            return refuse("type", "only certificates and validation contexts are supported");
        }
    };
    Ok(Secret { name: secret.name.into(), content })
}

fn text(source: Option<envoy_types::pb::envoy::config::core::v3::DataSource>) -> Result<String> {
    String::from_utf8(inline(source)?).or_else(|_| refuse("inline_bytes", "PEM text is expected"))
}
