//! The closed table of constructs, for people. `syntax/lower` takes exactly these.

/// A construct with examples; each is one line that can be loaded.
pub(crate) struct Construct {
    pub(crate) name: &'static str,
    pub(crate) examples: &'static [&'static str],
    pub(crate) says: &'static str,
}

const fn construct(name: &'static str, examples: &'static [&'static str], says: &'static str) -> Construct {
    Construct { name, examples, says }
}

/// All of them.
pub(crate) const CONSTRUCTS: &[Construct] = &[
    construct(
        "nil, true, false",
        &["nil", "true", "false"],
        "nil and false are false, everything else is true: 0 and \"\" as well",
    ),
    construct(
        "whole number",
        &["200", "1_000", "0660", "0x1f", "0b11", "-1"],
        "64 bits; what does not fit is an error",
    ),
    construct("number", &["2.5", "1e3"], ""),
    construct(
        "string",
        &["\"a\\n\"", "'a'", "%q(a)", "%Q(a)", "\"a\" 'b'"],
        "two side by side are one; here documents as well",
    ),
    construct("interpolation", &["\"a#{1 + 1}\""], ""),
    construct("symbol", &[":reject", ":\"two words\""], "good wherever a word is expected"),
    construct("regular expression", &["/\\.example\\z/i", "%r{/a}", "/#{\"a\"}/"], "see below"),
    construct("array", &["[\"a\", 1]", "%w(a b)", "%i(a b)"], ""),
    construct(
        "hash",
        &["{\"a\" => 1, b: 2}"],
        "keys are strings, symbols, whole numbers, true, false and nil",
    ),
    construct("range", &["(1..5)", "(1...5)", "(1..)"], ""),
    construct(
        "constant",
        &["Time", "Milter::Logger", "Regexp", "Proc.new {|x| x }"],
        "besides the classes of tables and detectors; no others",
    ),
    construct(
        "local variable",
        &["x = 1"],
        "until the end of the file or block; blocks see those around them",
    ),
    construct(
        "set from what was there",
        &["x = 1; x += 1", "x = nil; x ||= 1", "x = 1; x &&= 2", "h = {}; h[:a] ||= 1"],
        "`+=`, `-=`, `*=`, `<<=` and the like",
    ),
    construct(
        "method call",
        &[
            "\"a\".upcase",
            "[1].include?(1)",
            "nil&.size",
            "[\"a\"].map(&:upcase)",
            "f = lambda {|x| x }; [1].map(&f)",
        ],
        "see the tables below",
    ),
    construct("element", &["[1][0]", "{a: 1}[:a]", "a = []; a[0] = 1"], ""),
    construct("block", &["[1].each {|x| x }", "[1].each do |x| x end"], "parameters are plain names"),
    construct(
        "lambda",
        &["->(x) { x }", "lambda {|x| x }", "proc {|x| x }"],
        "runs with `call`; sees the variables around it",
    ),
    construct(
        "if, unless",
        &["if true then 1 elsif nil then 2 else 3 end", "1 unless false", "1 if true", "true ? 1 : 2"],
        "",
    ),
    construct(
        "case",
        &["case \"a\" when /a/, \"b\" then 1 else 2 end", "case when true then 1 end"],
        "`when` compares with `===`",
    ),
    construct("and, or, not", &["true and false", "nil || 1", "true && 1", "not true", "!true"], ""),
    construct(
        "match",
        &["\"a\" =~ /(a)/; $1", "\"a\" =~ /a/; $~", "\"a\" =~ /a/; $&", "\"a\" !~ /b/"],
        "`$~`, `$&`, `$1`, `$2` ... are those of the last match",
    ),
    construct(
        "jump",
        &["[1].each {|x| next }", "[1].each {|x| break }", "lambda { return 1 }"],
        "`next` ends a block, with a value if you like; `break` ends the method with the block; `return` ends a lambda",
    ),
    construct("self", &["self.nil?"], "the load, for `apply` of detectors"),
    construct("group", &["(1 + 2) * 3", "begin; 1; end"], ""),
];
