//! Is a template that grows without end an error, and does every other mean what it meant?

use serde_json::json;

use super::marks::Marks;
use super::template::Template;
use crate::message::Message;
use crate::request::Request;

fn rendered(source: &str) -> Result<String, String> {
    let mut request = Request::new(vec![Message::user("q".repeat(100_000))]);
    request
        .extra
        .insert("template".into(), json!({"list": [1, [2, "a"]], "n": 3, "map": {"b": 1, "a": null}}));
    let template = Template::new(Some(source), "", "").map_err(|e| e.to_string())?;
    template.render(&request, &Marks::default()).map_err(|e| e.to_string())
}

/// `grow` is done again and again to what `first` is.
fn growing(first: &str, grow: &str) -> String {
    format!(
        "{{% set ns = namespace(s={first}) %}}{{% for i in range(99999) %}}{{% set ns.s = {grow} %}}{{% endfor %}}x"
    )
}

#[test]
fn templates_that_grow_without_end_are_refused() {
    let mut sources: Vec<String> = [
        "{% set x %}{% for i in range(99999) %}{{ messages[0].content }}{% endfor %}{% endset %}{{ x[:1] }}",
        "{% macro m() %}{% for i in range(99999) %}{{ messages[0].content }}{% endfor %}{% endmacro %}{{ m()[:1] }}",
        "{% filter upper %}{% for i in range(99999) %}{{ messages[0].content }}{% endfor %}{% endfilter %}",
        "{{ ('x' * 100000000000)[:1] }}",
        "{{ ([1] * 100000000000)[:1] }}",
        "{{ 100000000000 * [1] | list }}",
        "{{ ('x' * 99999999 ~ 'x' * 99999999)[:1] }}",
        "{{ '%100000000000s' | format('x') }}",
        "{{ '%*s' | format(100000000000, 'x') }}",
        "{{ '%-*s' | format(-100000000000, 'x') }}",
        "{{ '%.100000000000f' | format(1.5) }}",
        "{{ '{:{}}'.format('x', 100000000000) }}",
        "{{ ('%s' * 1000000) | format('x' * 1000000) }}",
        "{{ '{:100000000000}'.format('x') }}",
        "{{ '{a:100000000000}'.format(a=1) }}",
        "{{ [1] | batch(100000000000, 0) }}",
        "{{ [1] | slice(100000000000) | list }}",
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns == ns }}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{{ debug() }}",
        "{% include 'chat' %}",
        "{% extends 'chat' %}",
        "{% block a %}{% endblock %}",
    ]
    .map(str::to_owned)
    .into();
    for (first, grow) in [
        ("'xxxxxxxx'", "ns.s ~ ns.s"),
        ("'xxxxxxxx'", "ns.s + ns.s"),
        ("'xxxxxxxx'", "ns.s * 2"),
        ("'xxxxxxxx'", "[ns.s, ns.s] | join"),
        ("'xxxxxxxx'", "ns.s.join([ns.s, ns.s])"),
        ("'xxxxxxxx'", "ns.s | replace('x', 'xxxxxxxxxx')"),
        ("'xxxxxxxx'", "ns.s.replace('x', 'xxxxxxxxxx')"),
        ("'xxxxxxxx'", "ns.s.replace('', 'x')"),
        ("'xxxxxxxx'", "'%s%s' | format(ns.s, ns.s)"),
        ("'xxxxxxxx'", "'{}{}'.format(ns.s, ns.s)"),
        ("'\"'", "ns.s | tojson"),
        ("'&'", "(ns.s ~ ns.s) | escape"),
        ("'\\u00e9'", "(ns.s ~ ns.s) | tojson(ensure_ascii=true)"),
        ("[1, 2, 3, 4]", "ns.s + ns.s"),
        ("[1, 2, 3, 4]", "ns.s * 2"),
        ("['a']", "[ns.s, ns.s] | string"),
        ("'a'", "[ns.s, ns.s] ~ ''"),
        ("'a'", "[ns.s, ns.s] | pprint"),
        ("['a', 'b']", "[ns.s, ns.s] | upper | list"),
        ("['a', 'b']", "[ns.s, ns.s] if [ns.s, ns.s] in 'ab' else [ns.s, ns.s]"),
        ("[1]", "[ns.s]"),
        ("[1]", "[ns.s, ns.s]"),
        ("[1]", "{'a': ns.s}"),
        ("[1]", "dict(a=ns.s)"),
        ("[1]", "namespace(a=ns.s)"),
        ("[1]", "ns.s | batch(1)"),
        ("{'a': 1}", "ns.s | chain({'b': 1})"),
        ("[1]", "{'a': ns.s}.items()"),
    ] {
        sources.push(growing(first, grow));
    }
    // Values that hold each other without a literal.
    sources.push(
        "{% set ns = namespace() %}{% for i in range(99999) %}{% set new = namespace() %}{% set new.a = ns.a %}{% set ns.a = new %}{% endfor %}x".into(),
    );
    sources.push("{% set ns = namespace(l=[1]) %}{% for i in range(99999) %}{% for x in [ns.l] %}{% set ns.l = loop %}{% endfor %}{% endfor %}x".into());
    sources.push("{% set ns = namespace(m=1) %}{% for i in range(99999) %}{% set old = ns.m %}{% macro m() %}{{ old }}{% endmacro %}{% set ns.m = m %}{% endfor %}x".into());
    for source in sources {
        let refused = rendered(&source);
        assert!(refused.is_err(), "{source}");
    }
    // What is made of itself again and again is no chain.
    for same in [
        "ns.s[0:]",
        "ns.s[::-1]",
        "ns.s | list",
        "ns.s | reverse",
        "ns.s + []",
        "ns.s * 1",
        "ns.s | select",
        "ns.s | map('string')",
        "ns.s | sort",
        "ns.s | unique",
        "dict(a=1).keys()",
    ] {
        assert_eq!(rendered(&growing("[1, 2]", same)), Ok("x".into()), "{same}");
    }
    for same in ["dict(ns.s)", "dict(ns.s, a=1)", "ns.s | items | first | default(ns.s, true) and ns.s"] {
        assert_eq!(rendered(&growing("{'a': 1}", same)), Ok("x".into()), "{same}");
    }
}

#[test]
fn templates_that_make_nothing_end_too() {
    let since = std::time::Instant::now();
    std::thread::scope(|scope| {
        for looking in [
            "{% set s = 'x' * 60000000 %}{% for i in range(99999) %}{% if s | length == i %}{% endif %}{% endfor %}",
            "{% macro m(n) %}{% if s == t %}{{ m(n + 1) if n < 16 }}{{ m(n + 1) if n < 16 }}{% endif %}{% endmacro %}{% set s = 'x' * 60000000 %}{% set t = 'x' * 60000000 %}{{ m(0) }}",
        ] {
            scope.spawn(move || {
                let refused = rendered(looking).unwrap_err();
                assert!(refused.contains("it takes too long"), "{refused}");
            });
        }
    });
    assert!(since.elapsed().as_secs() < 60);
    for (source, want) in [
        ("{{ 'añb'.count('') }}{{ ''.count('') }}{{ 'aab'.count('a') }}", "412"),
        (
            "{% for a in [6, -6, 7, 0, 1.5] %}{{ a is divisibleby 3 }}{{ a is divisibleby(0.5) }} {% endfor %}{{ 6 is divisibleby 0 }}{{ 'a' is divisibleby 3 }}",
            "TrueTrue TrueTrue FalseTrue TrueTrue FalseTrue FalseFalse",
        ),
        ("{% for a in [1, 2, 3] %}{{ loop.cycle('x', 'y') }}{% endfor %}", "xyx"),
    ] {
        assert_eq!(rendered(source).as_deref(), Ok(want), "{source}");
    }
    for source in ["{{ loop.cycle() }}", "{{ loop.cycle(*[]) }}"] {
        assert!(rendered(&format!("{{% for i in [1] %}}{source}{{% endfor %}}")).is_err(), "{source}");
    }
}

#[test]
fn templates_that_are_larger_or_deeper_than_any_are_refused_when_the_model_is_opened() {
    let nested = |n: usize, open: &str, close: &str| format!("{}x{}", open.repeat(n), close.repeat(n));
    for source in [
        "x".repeat(super::bounds::MAX_SOURCE + 1),
        format!("{{{{ 1{} }}}}", " + 1".repeat(100_000)),
        format!("{{{{ a{} }}}}", ".a".repeat(100_000)),
        format!("{{{{ a{} }}}}", "|e".repeat(100_000)),
        format!("{{{{ {}a }}}}", "not ".repeat(100_000)),
        format!("{{{{ {}a }}}}", "-".repeat(100_000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{{{{ 1{} }}}}", " if a else 1".repeat(50_000)),
        nested(20_000, "{% if a %}", "{% endif %}"),
        nested(20_000, "{% for a in b %}", "{% endfor %}"),
        nested(20_000, "{% set x %}{{ f(a=1) }}", "{% endset %}"),
        nested(20_000, "{% macro m() %}", "{% endmacro %}"),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(40_000)),
    ] {
        assert!(Template::new(Some(&source), "", "").is_err(), "{}", &source[..60]);
    }
    assert_eq!(
        rendered(&nested(20, "{% if n %}{% set y %}", "{% endset %}{{ y }}{% endif %}")),
        Ok("x".into())
    );
}

#[test]
fn templates_mean_what_they_meant_before_they_were_counted() {
    for (source, want) in [
        (
            "{{ 1 + 2 * n }} {{ 2 * 0.5 }} {{ 1 + 0.5 }} {{ 2 ** 3 * 2 }} {{ true + 1 }} {{ 7 - 2 * 2 }}",
            "7 1.0 1.5 16 2 3",
        ),
        (
            "{{ 'a' + 'b' ~ n ~ true ~ none ~ [1, 'a'] ~ missing }}|{{ '-' * 3 }}{{ 2 * 'ab' }}",
            "ab3TrueNone[1, 'a']|---abab",
        ),
        (
            "{{ list + [n] * 2 }}{{ (list + [4])[1:] }}{{ list[::-1] }}",
            "[1, [2, 'a'], 3, 3][[2, 'a'], 4][[2, 'a'], 1]",
        ),
        (
            "{{ map.items() | list }}{{ map | dictsort }}{{ map.keys() | list | tojson }}",
            "[['b', 1], ['a', None]][['a', None], ['b', 1]][\"b\", \"a\"]",
        ),
        (
            "{% for k, v in map.items() %}{{ loop.index }}{{ k }}={{ v }}{{ ', ' if not loop.last }}{% endfor %}",
            "1b=1, 2a=None",
        ),
        (
            "{% macro m(a, b='y') %}[{{ a }}{{ b }}{{ caller() if caller }}]{% endmacro %}{{ m('x') + m('x', b=n) }}{{ m(*['p', 'q']) }}{% call m(1) %}c{% endcall %}",
            "[xy][x3][pq][1yc]",
        ),
        ("{% set x %}a{{ n }}{% endset %}{{ x | upper }}{% filter upper %}b{% endfilter %}", "A3B"),
        (
            "{% for a in [1, 2, 3, 4] if a != 2 %}{% if a == 4 %}{% break %}{% endif %}{{ a }}{% else %}none{% endfor %}{% for a in [] %}{% else %}none{% endfor %}",
            "13none",
        ),
        ("{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "123"),
        (
            "{% set ns = namespace(a='', l=[]) %}{% for i in range(3) %}{% set ns.a = ns.a + i | string %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.a }}{{ ns.l }}",
            "012[0, 1, 2]",
        ),
        (
            "{{ 'a-b'.split('-') }}{{ 'a-b' | replace('-', '+') }}{{ ', '.join(['x', 'y']) }}{{ ['x', 1] | join('/') }}",
            "['a', 'b']a+bx, yx/1",
        ),
        ("{{ ['a', none] | upper }}", "['A', NONE]"),
        (
            "{{ '%s is %d' | format('x', 5) }} {{ '{} {a}'.format('x', a=n) }}{{ '**%s**' | format(n) }}",
            "x is 5 x 3**3**",
        ),
        (
            "{{ list | length }}{{ [3, 1] | sort | first }}{{ ['b', 'a'] | map('upper') | list }}{{ [1, 2] | sum }}",
            "21['B', 'A']3",
        ),
        (
            "{{ not n and 1 or 2 }}{{ 'x' if n > 2 and n in [3] else 'y' }}{{ n is defined and missing is not defined }}",
            "2xTrue",
        ),
        (
            "{% if false %}a{% elif n == 3 %}b{% else %}c{% endif %}\n  {% raw %}{{ x * 2 }}{% endraw %}",
            "b{{ x * 2 }}",
        ),
        ("{% with a = 5 %}{{ a * a }}{% endwith %}{{ {'a': {'b': [1]}}['a'].b[0] }}{{ (1, 2)[1] }}", "2512"),
    ] {
        assert_eq!(rendered(source).as_deref(), Ok(want), "{source}");
    }
}

#[test]
fn templates_are_read_up_to_each_limit() {
    let nested = |n: usize, open: &str, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    let made = |n: usize| format!("{{% for i in range({n}) %}}{{% set s = 'x' * 67108864 %}}{{% endfor %}}");
    for (at, above) in [
        ("x".repeat(super::bounds::MAX_SOURCE), "x".repeat(super::bounds::MAX_SOURCE + 1)),
        (format!("{{{{ n{} }}}}", " + 1".repeat(999)), format!("{{{{ n{} }}}}", " + 1".repeat(1000))),
        (nested(100, "{% if n %}", "{% endif %}"), nested(101, "{% if n %}", "{% endif %}")),
        (
            format!("{{{{ {} | length }}}}", nested(65, "[", "]")),
            format!("{{{{ {} | length }}}}", nested(66, "[", "]")),
        ),
        ("{{ ('x' * 67108864) | length }}".into(), "{{ ('x' * 67108865) | length }}".into()),
        ("{{ [1] | batch(100000) | length }}".into(), "{{ [1] | batch(100001) | length }}".into()),
        ("{{ [1] | slice(100000) | length }}".into(), "{{ [1] | slice(100001) | length }}".into()),
        (
            "{{ '%60000000s' | format('x') | length }}".into(),
            "{{ '%67108864s' | format('x') | length }}".into(),
        ),
        (made(15), made(17)),
    ] {
        assert!(rendered(&at).is_ok(), "{}: {:?}", &at[..at.len().min(60)], rendered(&at).err());
        assert!(rendered(&above).is_err(), "{}", &above[..above.len().min(60)]);
    }
}
