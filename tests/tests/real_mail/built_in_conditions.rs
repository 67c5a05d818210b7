//! Built-in conditions behind Postfix, which is told with XCLIENT who the client is.

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::smtp::Smtp;

behind_both_mtas!(a_restricted_milter_sees_only_messages_to_its_accounts);

/// A milter shows that it was asked with a header of its name.
fn marks(name: &str, conditions: &[&str]) -> Plan {
    let plan = Plan::editor(name, &format!("[[\"add\", \"X-Asked\", \"{name}\"]]"));
    conditions
        .iter()
        .fold(plan, |plan, condition| plan.with(&format!("add_applicable_condition(\"{condition}\")")))
}

const SETTINGS: &str = r#"load("applicable-conditions/*.conf")
s25r.add_whitelist("1-2-3.white.example")
remote_network.add_local_address("198.51.100.0/24")
define_applicable_condition("Told of trust") do |condition|
  condition.define_envelope_from_stopper {|context, from| context["trusted_domain"] != "yes" }
end
"#;

#[test]
fn each_client_gets_the_milters_that_its_conditions_say() {
    let plans = [
        marks("s25r", &["S25R"]),
        marks("remote", &["Remote Network"]),
        marks("known", &["Authenticated"]),
        marks("unknown", &["Unauthenticated"]),
        marks("trusted", &["Trust", "Told of trust"]),
    ];
    let Some((chain, site)) = Chain::start_alone(Route::Managed, SETTINGS, plans, |site| {
        format!(
            "{} inet n - n - - smtpd -o smtpd_milters={} -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o mynetworks=0.0.0.0/0\n",
            site.ports[0], site.milters
        )
    }) else {
        return;
    };
    for (number, (client, sender, expected)) in [
        ("NAME=mail.example.com ADDR=192.0.2.25", "<a@mx.test>", &["remote", "unknown"][..]),
        (
            "NAME=220-139-165-188.dynamic.example.net ADDR=192.0.2.26",
            "<a@mx.test>",
            &["s25r", "remote", "unknown"],
        ),
        ("NAME=[UNAVAILABLE] ADDR=192.0.2.27", "<a@mx.test>", &["s25r", "remote", "unknown"]),
        ("NAME=1-2-3.white.example ADDR=192.0.2.28", "<a@mx.test>", &["remote", "unknown"]),
        ("NAME=pc.example.com ADDR=10.1.2.3", "<a@mx.test>", &["unknown"]),
        ("NAME=pc.example.com ADDR=198.51.100.7", "<a@mx.test>", &["unknown"]),
        ("NAME=mail.example.com ADDR=192.0.2.25 LOGIN=bob", "<a@mx.test>", &["remote", "known"]),
        ("NAME=mail.example.com ADDR=192.0.2.25", "<a@GMail.com>", &["remote", "unknown", "trusted"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut smtp = Smtp::open(site.ports[0]);
        let told = smtp.command(&format!("XCLIENT {client}"));
        assert_eq!(told.code, 220, "{told:?}");
        smtp.command("EHLO client.example.org");
        let mut message = Message::new(chain.domain(), client);
        message.sender = sender.to_owned();

        let exchange = smtp.send(&message);

        assert_eq!(exchange.last().code, 250, "{client}: {exchange:?}");
        let delivered = chain.deliveries(number + 1);
        assert_eq!(delivered[number].header("X-Asked"), expected, "{client} from {sender}");
    }
}

fn a_restricted_milter_sees_only_messages_to_its_accounts(server: Server) {
    let settings = r#"restrict_accounts_by_list(/\Abob@/, condition_name: "Bob", milters: [])"#;
    let plans = [marks("restricted", &["Bob"]), marks("free", &[])];
    let Some(chain) = Chain::start_behind(server, Route::Managed, settings, plans) else { return };
    let mut smtp = chain.smtp();
    for (number, (recipients, expected)) in [
        (&["bob"][..], &["restricted", "free"][..]),
        (&["bob", "alice"], &["free"]),
        (&["alice", "bob"], &["free"]),
        (&["alice"], &["free"]),
        (&["bob"], &["restricted", "free"]),
    ]
    .into_iter()
    .enumerate()
    {
        let message = Message::new(chain.domain(), "whose").to(chain.domain(), recipients);

        let exchange = smtp.send(&message);

        assert_eq!(exchange.last().code, 250, "{recipients:?}: {exchange:?}");
        let delivered = chain.deliveries(number + 1);
        // The MTAs put added headers in different orders.
        let mut asked = delivered[number].header("X-Asked");
        asked.sort_by(|a, b| b.cmp(a));
        assert_eq!(asked, expected, "to {recipients:?}");
        assert_eq!(delivered[number].recipients.len(), recipients.len());
    }
}
