//! Real mail through real servers: Postfix or Sendmail in front, opendkim and python3-milter children behind.
//!
//! A case that makes sense without the manager is run on both routes: `direct`, with the children in `smtpd_milters`,
//! shows what Postfix itself makes of them and that the case is right; `managed` has the manager in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

/// Makes two tests of each case, one for each route.
macro_rules! on_both_routes {
    ($($case:ident),+ $(,)?) => {
        mod direct {
            use millstream_tests::post::Route;
            $(#[test] fn $case() { super::$case(Route::Direct); })+
        }
        mod managed {
            use millstream_tests::post::Route;
            $(#[test] fn $case() { super::$case(Route::Managed); })+
        }
    };
}

/// Makes two tests of each case, one for each MTA.
macro_rules! behind_both_mtas {
    ($($case:ident),+ $(,)?) => {
        mod postfix {
            use millstream_tests::mta::Server;
            $(#[test] fn $case() { super::$case(Server::Postfix); })+
        }
        mod sendmail {
            use millstream_tests::mta::Server;
            $(#[test] fn $case() { super::$case(Server::Sendmail); })+
        }
    };
}

mod built_in_conditions;
mod client_gone;
mod content;
mod content_filter;
mod disposal;
mod edit_order;
mod edits;
mod evaluation;
mod failure;
mod fallback_kinds;
mod lifecycle;
mod limits;
mod load;
mod login;
mod proxy_filter;
mod recorded;
mod refusal;
mod round_trips;
mod same_answer;
mod same_edits;
mod session;
mod signature;
mod special_paths;
mod tap;
mod test_client;
mod wishes;
