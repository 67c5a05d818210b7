//! How a client proves who it is (RFC 4954): PLAIN, LOGIN, CRAM-MD5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

/// A way of proving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 2195.
    CramMd5,
    /// RFC 4616.
    Plain,
    /// Never standardised, and offered by most.
    Login,
}

impl Mechanism {
    /// All, the best first: that is the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::CramMd5, Self::Plain, Self::Login];

    /// As servers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// Who the client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
    /// Only this one; `None` takes the first of [`Mechanism::ALL`] that the server offers.
    pub mechanism: Option<Mechanism>,
}

impl Login {
    /// The command that begins.
    #[must_use]
    pub fn command(&self, mechanism: Mechanism) -> String {
        match mechanism {
            Mechanism::Plain => {
                format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{}\0{}", self.user, self.password)))
            }
            Mechanism::Login | Mechanism::CramMd5 => format!("AUTH {}", mechanism.name()),
        }
    }

    /// The answer to the challenge number `step`, from 0; `None` when none is owed there or it cannot be understood.
    #[must_use]
    pub fn answer(&self, mechanism: Mechanism, step: usize, challenge: &str) -> Option<String> {
        let text = match (mechanism, step) {
            (Mechanism::Login, 0) => self.user.clone(),
            (Mechanism::Login, 1) => self.password.clone(),
            (Mechanism::CramMd5, 0) => {
                let challenge = STANDARD.decode(challenge.trim()).ok()?;
                format!("{} {}", self.user, self.digest(&challenge)?)
            }
            _ => return None,
        };
        Some(STANDARD.encode(text))
    }

    /// The keyed digest of a challenge, in hexadecimal digits.
    fn digest(&self, challenge: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Md5>::new_from_slice(self.password.as_bytes()).ok()?;
        mac.update(challenge);
        Some(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tim() -> Login {
        Login { user: "tim".to_owned(), password: "tanstaaftanstaaf".to_owned(), mechanism: None }
    }

    #[test]
    fn the_example_of_rfc_2195() {
        let challenge = STANDARD.encode("<1896.697170952@postoffice.reston.mci.net>");
        let answer = tim().answer(Mechanism::CramMd5, 0, &challenge).unwrap();
        assert_eq!(answer, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
        assert_eq!(tim().answer(Mechanism::CramMd5, 0, "no base64!"), None);
        assert_eq!(tim().answer(Mechanism::CramMd5, 1, &challenge), None);
    }

    #[test]
    fn plain_says_all_at_once_and_login_one_after_the_other() {
        assert_eq!(tim().command(Mechanism::Plain), "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        assert_eq!(tim().answer(Mechanism::Plain, 0, ""), None);
        assert_eq!(tim().command(Mechanism::Login), "AUTH LOGIN");
        assert_eq!(tim().answer(Mechanism::Login, 0, "VXNlcm5hbWU6").unwrap(), "dGlt");
        assert_eq!(tim().answer(Mechanism::Login, 1, "UGFzc3dvcmQ6").unwrap(), "dGFuc3RhYWZ0YW5zdGFhZg==");
        assert_eq!(tim().answer(Mechanism::Login, 2, ""), None);
    }
}
