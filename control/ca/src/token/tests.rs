//! Every reason to refuse a token, and the tokens that are right on the edge.

use super::*;

const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(byte: u8) -> TokenKey {
    TokenKey::from_bytes(&[byte; KEY_SIZE]).unwrap()
}

fn payload() -> Payload {
    Payload {
        iss: ISSUER.to_owned(),
        aud: Audience::One(AUDIENCE.to_owned()),
        sub: "system:serviceaccount:default:reviews".to_owned(),
        exp: NOW + 600,
        iat: NOW,
    }
}

fn signed(alg: &str, change: impl FnOnce(&mut Payload)) -> String {
    let mut payload = payload();
    change(&mut payload);
    key(1).sign(&Header { alg: alg.to_owned(), typ: "JWT".to_owned() }, &payload)
}

#[test]
fn issued_tokens_verify() {
    let claims =
        Claims { namespace: "default".to_owned(), service_account: "reviews".to_owned(), expires: at(NOW + 600) };
    let token = key(1).issue(&claims, at(NOW));
    assert_eq!(key(1).verify(&token, at(NOW)).unwrap(), claims);
    assert_eq!(token.split('.').count(), 3);
}

#[test]
fn refusals() {
    let many = |names: &[&str]| Audience::Many(names.iter().map(|name| (*name).to_owned()).collect());
    let cases: Vec<(&str, String, Result<(), TokenError>)> = vec![
        ("good", signed("HS256", |_| {}), Ok(())),
        ("several audiences", signed("HS256", |p| p.aud = many(&["x", AUDIENCE])), Ok(())),
        ("just expired, within leeway", signed("HS256", |p| p.exp = NOW - 30), Ok(())),
        ("expired", signed("HS256", |p| p.exp = NOW - 31), Err(TokenError::Expired(31))),
        ("no date", signed("HS256", |p| p.exp = u64::MAX), Err(TokenError::Malformed("its end is no date"))),
        ("from the future", signed("HS256", |p| p.iat = NOW + 31), Err(TokenError::NotYet)),
        ("audience", signed("HS256", |p| p.aud = many(&["istio-ca"])), Err(TokenError::Audience)),
        ("no audience", signed("HS256", |p| p.aud = many(&[])), Err(TokenError::Audience)),
        ("issuer", signed("HS256", |p| p.iss = "kubernetes".to_owned()), Err(TokenError::Issuer)),
        ("subject", signed("HS256", |p| p.sub = "reviews".to_owned()), Err(TokenError::Subject)),
        ("half subject", signed("HS256", |p| p.sub = format!("{SUBJECT_PREFIX}a:")), Err(TokenError::Subject)),
        ("long subject", signed("HS256", |p| p.sub = format!("{SUBJECT_PREFIX}a:b:c")), Err(TokenError::Subject)),
        ("none", signed("none", |_| {}), Err(TokenError::Algorithm)),
        ("RS256", signed("RS256", |_| {}), Err(TokenError::Algorithm)),
        ("empty", String::new(), Err(TokenError::Malformed("not three parts"))),
        ("one dot", "a.b".to_owned(), Err(TokenError::Malformed("not three parts"))),
        ("junk", "!.!.!".to_owned(), Err(TokenError::Malformed("a part is not base64url"))),
        ("long", "a".repeat(LONGEST + 1), Err(TokenError::Malformed("too long"))),
    ];
    for (what, token, expect) in cases {
        assert_eq!(key(1).verify(&token, at(NOW)).map(|_| ()), expect, "{what}");
    }
}

#[test]
fn another_key_or_a_changed_token_is_refused() {
    let token = signed("HS256", |_| {});
    assert_eq!(key(2).verify(&token, at(NOW)), Err(TokenError::Signature));
    let parts: Vec<&str> = token.split('.').collect();
    let mut forged = payload();
    forged.sub = "system:serviceaccount:istio-system:istiod".to_owned();
    let tampered = format!("{}.{}.{}", parts[0], encode(&forged), parts[2]);
    assert_eq!(key(1).verify(&tampered, at(NOW)), Err(TokenError::Signature));
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(key(1).verify(&unsigned, at(NOW)), Err(TokenError::Signature));
}

#[test]
fn a_short_key_is_refused() {
    assert!(TokenKey::from_bytes(&[0; KEY_SIZE - 1]).is_none());
}
