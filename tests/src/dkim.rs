//! A DKIM key and the check of signatures made with it, without DNS.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::children::{PYTHON, scripts};
use crate::require::program_path;

/// What the check needs to be installed.
pub const NEEDS: &[&str] = &[PYTHON, "/usr/lib/python3/dist-packages/dkim/__init__.py"];

/// A key pair.
#[derive(Debug, Clone)]
pub struct Key {
    /// The file with the private key.
    pub private: PathBuf,
    /// The text of the DNS record with the public key.
    pub record: String,
}

impl Key {
    /// The domain it signs for.
    pub const DOMAIN: &str = "mx.test";
    /// A domain that has the same key in DNS, as a stranger whose mail is verified.
    pub const OTHER_DOMAIN: &str = "elsewhere.test";
    /// Its name in the domain.
    pub const SELECTOR: &str = "suite";

    /// Makes one with opendkim's own tool.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn generate(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        let made = Command::new(program_path("opendkim-genkey"))
            .arg("-D")
            .arg(folder)
            .args(["-d", Self::DOMAIN, "-s", Self::SELECTOR])
            .status()
            .expect("opendkim-genkey can be run");
        assert!(made.success(), "opendkim-genkey: {made}");
        let zone =
            fs::read_to_string(folder.join(format!("{}.txt", Self::SELECTOR))).expect("there is a record");
        // suite._domainkey IN TXT ( "v=DKIM1; ..." "p=..." ) ; comment
        let record = zone.split('"').skip(1).step_by(2).collect();
        Self { private: folder.join(format!("{}.private", Self::SELECTOR)), record }
    }

    /// Whether the message carries a signature that this key made.
    ///
    /// # Panics
    /// When the verifier cannot be run.
    #[must_use]
    pub fn verifies(&self, message: &[u8]) -> bool {
        let mut verifier = Command::new(PYTHON)
            .arg("-B")
            .arg(scripts().join("dkim_verify.py"))
            .arg(&self.record)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the verifier can be run");
        verifier.stdin.take().expect("a pipe was asked for").write_all(message).expect("the verifier reads");
        verifier.wait().expect("the verifier ends").success()
    }

    /// A signature of [`OTHER_DOMAIN`](Self::OTHER_DOMAIN), as a header field, of sender, subject and body of a message.
    ///
    /// # Panics
    /// When the signer cannot be run.
    #[must_use]
    pub fn sign_elsewhere(&self, message: &[u8]) -> Vec<u8> {
        let mut signer = Command::new(PYTHON)
            .arg("-B")
            .arg(scripts().join("dkim_sign.py"))
            .args([Self::SELECTOR, Self::OTHER_DOMAIN])
            .arg(&self.private)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the signer can be run");
        signer.stdin.take().expect("a pipe was asked for").write_all(message).expect("the signer reads");
        let signed = signer.wait_with_output().expect("the signer ends");
        assert!(signed.status.success(), "the signer: {}", signed.status);
        signed.stdout
    }
}
