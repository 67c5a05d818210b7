//! The names of Ruby's constructs that are not supported, with what to write instead.

use lib_ruby_parser::Node;

const REPEAT: &str = "write each setting out, or use `[...].each do |name| ... end`";
const VALUE: &str = "write the value itself";
const FIXED: &str = "configuration files hold settings; programs cannot be defined in them";

/// What a node is called, and a hint.
pub(super) fn describe(node: &Node) -> (&'static str, &'static str) {
    match node {
        Node::CaseMatch(_) => ("`case ... in`", "use `case ... when`"),
        Node::MatchCurrentLine(_) | Node::IFlipFlop(_) | Node::EFlipFlop(_) => {
            ("a condition of this kind", "compare with a value: `text =~ /.../`")
        }
        Node::Block(_) | Node::Numblock(_) => {
            ("a block of this kind", "name the parameters: `do |milter| ... end`")
        }
        Node::Redo(_) | Node::Retry(_) => ("a jump of this kind", "use `next`"),
        Node::While(_) | Node::WhilePost(_) | Node::Until(_) | Node::UntilPost(_) | Node::For(_) => {
            ("a loop", REPEAT)
        }
        Node::Rescue(_) | Node::Ensure(_) => (
            "`rescue` and `ensure`",
            "a stopper that fails does not stop, and the log says why; `load_if_exist` is for a file that may be missing",
        ),
        Node::Def(_) | Node::Defs(_) | Node::Undef(_) | Node::Alias(_) => ("a method definition", FIXED),
        Node::Class(_) | Node::SClass(_) | Node::Module(_) => ("a class or module definition", FIXED),
        Node::Preexe(_) | Node::Postexe(_) => ("`BEGIN` or `END`", FIXED),
        Node::Xstr(_) | Node::XHeredoc(_) => {
            ("running a program", "configuration files cannot run programs; write its output as the value")
        }
        Node::Const(_) | Node::Cbase(_) => (
            "a Ruby class or constant",
            "of Ruby's library there are Time, Regexp, Proc, File.open, Milter::Logger and milter manager's tables and detectors only",
        ),
        Node::Casgn(_) => ("a constant", "use a local variable, in lower case"),
        Node::Ivar(_) | Node::Ivasgn(_) | Node::Cvar(_) | Node::Cvasgn(_) => {
            ("an instance or class variable", "use a local variable, without `@`")
        }
        Node::Gvar(_) | Node::Gvasgn(_) | Node::BackRef(_) | Node::NthRef(_) => (
            "a global variable",
            "use a local variable, without `$`; of a match there are `$~`, `$&` and `$1`, `$2` ...",
        ),
        Node::Masgn(_) | Node::Mlhs(_) => ("multiple assignment", "assign one variable per line"),
        Node::Dsym(_) => ("a symbol with interpolation", "use a string"),
        Node::Rational(_) | Node::Complex(_) => ("a rational or complex number", VALUE),
        Node::File(_) | Node::Line(_) | Node::Encoding(_) => {
            ("`__FILE__`, `__LINE__` or `__ENCODING__`", VALUE)
        }
        Node::Splat(_) | Node::Kwsplat(_) => ("`*` or `**` before a value", "write the elements out"),
        Node::BlockPass(_) => ("`&` before an argument of this kind", "write a block: `do |x| ... end`"),
        Node::Defined(_) => ("`defined?`", VALUE),
        Node::Optarg(_)
        | Node::Kwarg(_)
        | Node::Kwoptarg(_)
        | Node::Restarg(_)
        | Node::Kwrestarg(_)
        | Node::Blockarg(_)
        | Node::Shadowarg(_)
        | Node::Procarg0(_) => ("a block parameter of this kind", "use plain names"),
        Node::Index(_) | Node::IndexAsgn(_) => ("an index of this kind", "use one index"),
        _ => ("this", "see the list of what a configuration file may contain"),
    }
}
