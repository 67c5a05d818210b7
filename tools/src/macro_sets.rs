//! The macros that are sent with the commands of a dialogue.

use std::collections::BTreeMap;

use millstream_core::wire::facts::Stage;
use millstream_core::wire::{bare, names};

/// Macros by stage and by name without braces.
#[derive(Debug, Clone, Default)]
pub struct MacroSets(BTreeMap<Stage, BTreeMap<Vec<u8>, Vec<u8>>>);

impl MacroSets {
    /// What an MTA would say. `daemon` is its name.
    #[must_use]
    pub fn usual(daemon: &[u8]) -> Self {
        let mut sets = Self::default();
        let usual: [(Stage, &[(&str, &str)]); 7] = [
            (
                Stage::Connect,
                &[("if_name", "localhost"), ("if_addr", "127.0.0.1"), ("j", "mail.example.com")],
            ),
            (
                Stage::Helo,
                &[
                    ("tls_version", "0"),
                    ("cipher", "0"),
                    ("cipher_bits", "0"),
                    ("cert_subject", "cert_subject"),
                    ("cert_issuer", "cert_issuer"),
                ],
            ),
            (
                Stage::Mail,
                &[("mail_mailer", "mail_mailer"), ("mail_host", "mail_host"), ("mail_addr", "mail_addr")],
            ),
            (Stage::Rcpt, &[("rcpt_mailer", "rcpt_mailer"), ("rcpt_host", "rcpt_host")]),
            (Stage::Data, &[("i", "i")]),
            (Stage::EndOfHeaders, &[("i", "i")]),
            (Stage::EndOfMessage, &[("i", "i")]),
        ];
        for (stage, macros) in usual {
            for (name, value) in macros {
                sets.set(stage, name.as_bytes(), value.as_bytes());
            }
        }
        sets.set(Stage::Connect, b"daemon_name", daemon);
        sets
    }

    /// Sets one; with braces or without them it is the same.
    pub fn set(&mut self, stage: Stage, name: &[u8], value: &[u8]) {
        self.0.entry(stage).or_default().insert(bare(name).to_vec(), value.to_vec());
    }

    /// Sets those of a list of names that are not set, each to its own name.
    pub fn set_listed(&mut self, stage: Stage, list: &[u8]) {
        for name in names(list) {
            let name = bare(name).to_vec();
            self.0.entry(stage).or_default().entry(name.clone()).or_insert(name);
        }
    }

    /// Those of a stage as they go to a milter: names and values, each with its NUL, in the order of the names.
    #[must_use]
    pub fn pairs(&self, stage: Stage) -> Vec<u8> {
        let mut pairs = Vec::new();
        for (name, value) in self.0.get(&stage).into_iter().flatten() {
            match &name[..] {
                [_] => pairs.extend_from_slice(name),
                _ => pairs.extend_from_slice(&[b"{", &name[..], b"}"].concat()),
            }
            pairs.push(0);
            pairs.extend_from_slice(value);
            pairs.push(0);
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stand_in_the_order_of_their_names_and_long_ones_have_braces() {
        let sets = MacroSets::usual(b"me");
        let pairs = sets.pairs(Stage::Connect);
        assert_eq!(
            pairs,
            b"{daemon_name}\0me\0{if_addr}\x00127.0.0.1\0{if_name}\0localhost\0j\0mail.example.com\0"
        );
        assert!(sets.pairs(Stage::Header).is_empty());
    }

    #[test]
    fn braces_make_no_difference_and_the_last_value_holds() {
        let mut sets = MacroSets::default();
        sets.set(Stage::Helo, b"{x}", b"1");
        sets.set(Stage::Helo, b"x", b"2");
        assert_eq!(sets.pairs(Stage::Helo), b"x\x002\0");
    }

    #[test]
    fn what_a_milter_lists_has_a_value() {
        let mut sets = MacroSets::usual(b"me");
        sets.set_listed(Stage::Data, b"i {auth_type} j");
        assert_eq!(sets.pairs(Stage::Data), b"{auth_type}\0auth_type\0i\0i\0j\0j\0");
    }
}
