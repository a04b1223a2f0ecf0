//! The language, one row per rule of it.
//!
//! A row is a statement or an expression, and its result as JSON: an empty text for
//! `Undefined`, a dash where the condition keeps the rule from running.

use super::*;

/// The message of most rows.
const MESSAGE: &str = r#"{
    "temperature": 21.5, "humidity": 40, "unit": "C", "on": true, "nothing": null, "ten": 10.0,
    "text": "12.7", "negative": -7, "position": {"x": 1, "y": {"z": "deep"}},
    "list": [1, 2, 3], "zebra": "Ζέβρα",
    "events": [{"n": "temperature", "v": 27}, {"n": "light", "v": 80}, {"n": "temperature", "v": 28}],
    "value": 5
}"#;

struct Setting {
    message: &'static str,
    version: Version,
    topic: &'static str,
    source: Source<'static>,
    answers: Answers,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            message: MESSAGE,
            version: Version::V2016,
            topic: "plant/7/pump",
            source: Source { client_id: Some("device-1"), ..Source::default() },
            answers: Answers::default(),
        }
    }
}

impl Setting {
    fn apply(&self, statement: &str) -> Result<Option<Output>, Interrupt> {
        let statement = Statement::parse(statement, self.version)
            .unwrap_or_else(|e| panic!("{statement}: {e}"));
        self.with(|context| statement.apply(context, &self.answers))
    }

    fn with<T>(&self, run: impl FnOnce(&Context<'_>) -> T) -> T {
        let message = Message::new(self.message.as_bytes());
        run(&Context {
            message: &message,
            topic: self.topic,
            source: self.source,
            account: "123456789012",
            trace_id: "trace-1",
            now: 1_481_825_251_155,
            seed: 7,
        })
    }

    /// The result as JSON; `-` if the rule does not run.
    fn text(&self, statement: &str) -> String {
        match self.apply(statement) {
            Ok(None) => "-".to_owned(),
            Ok(Some(Output::Unchanged)) => "unchanged".to_owned(),
            Ok(Some(Output::Value(value))) => json::to_string(&value, self.version),
            Err(Interrupt::Failed(reason)) => format!("failed: {reason}"),
            Err(Interrupt::Asks(question)) => format!("asks {}", question.function),
        }
    }

    /// One expression; an empty text is `Undefined`.
    fn expr(&self, expr: &str) -> String {
        self.text(&format!("SELECT VALUE {expr} FROM 'a'"))
    }
}

fn rows(setting: &Setting, rows: &[(&str, &str)]) {
    for (expr, expected) in rows {
        assert_eq!(setting.expr(expr), *expected, "{expr}");
    }
}

fn statements(setting: &Setting, rows: &[(&str, &str)]) {
    for (statement, expected) in rows {
        assert_eq!(setting.text(statement), *expected, "{statement}");
    }
}

#[test]
fn selects_what_the_statement_names() {
    statements(
        &Setting::default(),
        &[
            ("SELECT * FROM 'a/b'", "unchanged"),
            ("select temperature from 'a/b'", r#"{"temperature":21.5}"#),
            ("SELECT position.y.z FROM 'a'", r#"{"z":"deep"}"#),
            ("SELECT position.y AS p FROM 'a'", r#"{"p":{"z":"deep"}}"#),
            (
                "SELECT temperature AS state.reported.t, unit AS state.reported.u FROM 'a'",
                r#"{"state":{"reported":{"t":21.5,"u":"C"}}}"#,
            ),
            ("SELECT missing, unit FROM 'a'", r#"{"unit":"C"}"#),
            ("SELECT topic(2), timestamp() FROM 'a'", r#"{"topic":"7","timestamp":1481825251155}"#),
            ("SELECT VALUE temperature FROM 'a'", "21.5"),
            ("SELECT VALUE list FROM 'a'", "[1,2,3]"),
            ("SELECT VALUE position FROM 'a'", r#"{"x":1,"y":{"z":"deep"}}"#),
            ("SELECT VALUE * FROM 'a'", "unchanged"),
            ("SELECT VALUE missing FROM 'a'", ""),
            ("SELECT value, value + 1 AS w FROM 'a'", r#"{"value":5,"w":6}"#),
            ("SELECT value FROM 'a'", r#"{"value":5}"#),
            ("SELECT value AS v FROM 'a'", r#"{"v":5}"#),
            ("SELECT VALUE value FROM 'a'", "5"),
            ("SELECT unit FROM plant/+/pump WHERE on", r#"{"unit":"C"}"#),
            ("SELECT unit WHERE humidity = 40", r#"{"unit":"C"}"#),
        ],
    );
    let small = Setting { message: r#"{"a":1,"b":2}"#, ..Setting::default() };
    statements(
        &small,
        &[
            ("SELECT *, topic(1) AS site FROM 'a'", r#"{"a":1,"b":2,"site":"plant"}"#),
            ("SELECT *, a + b AS a FROM 'a'", r#"{"a":3,"b":2}"#),
        ],
    );
}

#[test]
fn runs_only_when_the_condition_is_true() {
    statements(
        &Setting::default(),
        &[
            ("SELECT unit FROM 'a' WHERE temperature > 21", r#"{"unit":"C"}"#),
            ("SELECT unit FROM 'a' WHERE temperature > 22", "-"),
            ("SELECT unit FROM 'a' WHERE missing > 22", "-"),
            ("SELECT unit AS u FROM 'a' WHERE u = 'C'", "-"),
            ("SELECT unit FROM 'a' WHERE 'true'", "-"),
            (
                "SELECT unit FROM 'a' WHERE topic(3) = 'pump' AND NOT humidity < 40",
                r#"{"unit":"C"}"#,
            ),
            ("SELECT unit FROM 'a' WHERE unit IN ('F', 'C')", r#"{"unit":"C"}"#),
            ("SELECT unit FROM 'a' WHERE unit NOT IN ('F', 'C')", "-"),
            ("SELECT unit FROM 'a' WHERE 2 IN list", r#"{"unit":"C"}"#),
            (
                "SELECT unit FROM 'a' WHERE 'light' IN (SELECT VALUE n FROM events)",
                r#"{"unit":"C"}"#,
            ),
        ],
    );
}

#[test]
fn sets_variables_before_it_selects() {
    statements(
        &Setting::default(),
        &[
            (
                "SET @t = temperature * 2, @u = @t + 1 SELECT @u, @t AS t FROM 'a' WHERE @t > 40",
                r#"{"u":44,"t":43}"#,
            ),
            ("SET @p = position SELECT @p.y.z FROM 'a'", r#"{"z":"deep"}"#),
            (
                "SET @l = 27 SELECT (SELECT VALUE v FROM events WHERE v > @l) AS vs FROM 'a'",
                r#"{"vs":[80,28]}"#,
            ),
        ],
    );
    for (statement, message) in [
        ("SET @a = 1, @a = 2 SELECT @a FROM 'a'", "assigned twice"),
        ("SET @a = @b, @b = 2 SELECT @a FROM 'a'", "`@b` is not set before"),
        ("SELECT @a FROM 'a'", "not set before"),
        ("SET a = 1 SELECT a FROM 'a'", "a variable such as"),
    ] {
        let error = Statement::parse(statement, Version::V2016).unwrap_err();
        assert!(error.message.contains(message), "{statement}: {error}");
    }
    let many: Vec<String> = (0..11).map(|n| format!("@v{n} = {n}")).collect();
    let statement = format!("SET {} SELECT @v1 FROM 'a'", many.join(", "));
    assert!(Statement::parse(&statement, Version::V2016).is_err());
    let long = format!("SET @{} = 1 SELECT * FROM 'a'", "v".repeat(65));
    assert!(Statement::parse(&long, Version::V2016).is_err());
    let large = "SET @a = lpad('', 1000), @b = concat(@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a), \
        @c = concat(@b,@b,@b,@b,@b,@b,@b,@b,@b,@b) SELECT @a FROM 'a'";
    assert!(Setting::default().text(large).starts_with("failed: the variables up to `@c`"));
}

#[test]
fn operators_follow_their_tables() {
    rows(
        &Setting::default(),
        &[
            // AND, OR, NOT
            ("(true AND 'TRUE')", "true"),
            ("(true AND false)", "false"),
            ("(false OR true)", "true"),
            ("(true OR missing)", ""),
            ("(1 AND true)", ""),
            ("(NOT 'false')", "true"),
            ("(NOT 1)", ""),
            ("(NOT missing)", ""),
            // comparisons
            ("(2 > 1)", "true"),
            ("('2' > 1.5)", "true"),
            ("('a' < 'b')", ""),
            ("(2 >= 2.0)", "true"),
            ("(missing < 1)", ""),
            ("(true < 1)", ""),
            ("(null < 1)", ""),
            // equality
            ("(1 = 1.0)", "true"),
            ("('1' = 1)", "false"),
            ("('1' <> 1)", "true"),
            ("('a' = 'a')", "true"),
            ("(missing = 1)", ""),
            ("(missing <> 1)", ""),
            ("(null = null)", "true"),
            ("(null <> null)", "false"),
            ("([1,2] = [1,2])", "true"),
            ("([1,2] = [2,1])", "false"),
            ("({'a':1,'b':2} = {'b':2,'a':1})", "true"),
            // +
            ("(1 + 2)", "3"),
            ("(1 + 0.5)", "1.5"),
            ("(0.1 + 0.2)", "0.3"),
            ("('a' + 1)", r#""a1""#),
            ("(1.5 + 'a')", r#""1.5a""#),
            ("('a' + true)", r#""atrue""#),
            ("('a' + list)", r#""a[1,2,3]""#),
            ("('a' + null)", ""),
            ("('a' + missing)", ""),
            ("(true + 1)", ""),
            // - * / %
            ("(5 - 7)", "-2"),
            ("(7 / 2)", "3"),
            ("(7 / 2.5)", "2.8"),
            ("(7 / 0)", ""),
            ("(7 % 4)", "3"),
            ("(7 % 0)", ""),
            ("(7.5 % 2)", "1.5"),
            ("('7' / 2)", "3.5"),
            ("('3' * '4')", "12"),
            ("('x' * 4)", ""),
            ("(1 - true)", ""),
            ("(-negative)", "7"),
            ("(-'2.5')", "-2.5"),
            // A whole decimal counts as an Int.
            ("(ten / 4)", "2"),
            // precedence
            ("(1 + 2 * 3)", "7"),
            ("((1 + 2) * 3)", "9"),
            ("(10 - 3 - 2)", "5"),
            ("(2 * -3 + 1)", "-5"),
            ("(NOT 1 = 2 AND 3 > 2)", "true"),
            ("(false AND false OR true)", "true"),
            (
                "(99999999999999999999999999999999 * 99999999999999999999)",
                "9.9999999999999999998999999999999E51",
            ),
        ],
    );
}

#[test]
fn casts_as_the_table_says() {
    rows(
        &Setting::default(),
        &[
            ("(cast(21 AS String))", r#""21""#),
            ("(cast(true AS varchar))", r#""true""#),
            ("(cast(list AS Text))", r#""[1,2,3]""#),
            ("(cast(null AS String))", ""),
            ("(cast(missing AS String))", ""),
            ("(cast(2.7 AS Int))", "2"),
            ("(cast(-2.2 AS Integer))", "-3"),
            ("(cast('12.7' AS Int))", "12"),
            ("(cast('-12.2' AS Int))", "-13"),
            ("(cast(true AS Int))", "1"),
            ("(cast('x' AS Int))", ""),
            ("(cast(null AS Int))", "null"),
            ("(cast('1E2' AS Decimal))", "100"),
            ("(cast(false AS Decimal))", "0"),
            ("(cast('2.50' AS Double))", "2.5"),
            ("(cast('tRue' AS Boolean))", "true"),
            ("(cast('yes' AS Bool))", ""),
            ("(cast(list AS Decimal))", ""),
        ],
    );
}

#[test]
fn cases_take_the_first_that_equals() {
    rows(
        &Setting::default(),
        &[
            ("(CASE unit WHEN 'F' THEN 1 WHEN 'C' THEN 2 WHEN 'C' THEN 3 ELSE 4 END)", "2"),
            ("(CASE unit WHEN 'K' THEN 1 ELSE 4 END)", "4"),
            ("(CASE unit WHEN 'K' THEN 1 END)", ""),
            ("(CASE missing WHEN 'K' THEN 1 ELSE 2 END)", ""),
            ("(CASE humidity WHEN '40' THEN 1 WHEN 40.0 THEN 2 END)", "2"),
        ],
    );
}

#[test]
fn queries_nest_over_arrays() {
    statements(
        &Setting::default(),
        &[
            (
                "SELECT (SELECT VALUE v FROM events WHERE n = 'temperature') AS t FROM 'a'",
                r#"{"t":[27,28]}"#,
            ),
            (
                "SELECT (SELECT v FROM events WHERE n = 'temperature') AS t FROM 'a'",
                r#"{"t":[{"v":27},{"v":28}]}"#,
            ),
            (
                "SELECT get((SELECT v FROM events WHERE n = 'light'), 0).v AS light FROM 'a'",
                r#"{"light":80}"#,
            ),
            (
                "SELECT (SELECT * FROM events WHERE v > 79) AS t FROM 'a'",
                r#"{"t":[{"n":"light","v":80}]}"#,
            ),
            ("SELECT (SELECT v FROM unit) AS t, unit FROM 'a'", r#"{"unit":"C"}"#),
            (
                "SELECT {'n': unit, 'all': [humidity, missing, 'x']} AS o FROM 'a'",
                r#"{"o":{"n":"C","all":[40,"x"]}}"#,
            ),
        ],
    );
}

#[test]
fn functions_on_numbers() {
    rows(
        &Setting::default(),
        &[
            ("abs(-5)", "5"),
            ("abs(-5.5)", "5.5"),
            ("abs('-5.5')", "5.5"),
            ("abs(true)", ""),
            ("abs(missing)", ""),
            ("acos(1)", "0"),
            ("acos(2)", ""),
            ("asin(0)", "0"),
            ("atan(0)", "0"),
            ("atan2(0, 1)", "0"),
            ("bitand(13, 5)", "5"),
            ("bitor(8, 5)", "13"),
            ("bitxor(13, 5)", "8"),
            ("bitnot(13)", "-14"),
            ("bitand(12.6, '5.9')", "5"),
            ("ceil(1.2)", "2"),
            ("ceil(-3.2)", "-3"),
            ("ceil('1.2')", "2"),
            ("cos(0)", "1"),
            ("cosh(0)", "1"),
            ("exp(0)", "1"),
            ("floor(1.8)", "1"),
            ("floor(-3.2)", "-4"),
            ("ln(1)", "0"),
            ("ln(0)", ""),
            ("log(1000)", "3"),
            ("mod(8, 3)", "2"),
            ("remainder(8, 3)", "2"),
            ("MOD(8.5, 3)", "2.5"),
            ("mod(8, 0)", ""),
            ("nanvl(8, 3)", "8"),
            ("nanvl('x', 3)", "3"),
            ("nanvl(missing, 3)", "3"),
            ("power(2, 10)", "1024"),
            ("power(2, -1)", "0.5"),
            ("power(2.5, 2)", "6.25"),
            ("power(4, 0.5)", "2"),
            ("power(0, -1)", ""),
            ("(rand() >= 0 AND rand() < 1)", "true"),
            ("round(1.5)", "2"),
            ("round(-1.5)", "-2"),
            ("round(1.4)", "1"),
            ("round('2.5')", "3"),
            ("sign(-7.2)", "-1"),
            ("sign(0)", "0"),
            ("sign(3)", "1"),
            ("sin(0)", "0"),
            ("sinh(0)", "0"),
            ("sqrt(9)", "3"),
            ("sqrt(-1)", ""),
            ("tan(0)", "0"),
            ("tanh(0)", "0"),
            ("trunc(2.3, 0)", "2"),
            ("trunc(2.3123, 2)", "2.31"),
            ("trunc(-2.888, 2)", "-2.88"),
            ("trunc(2.888, 100)", "2.888"),
        ],
    );
}

#[test]
fn functions_on_text() {
    rows(
        &Setting::default(),
        &[
            ("chr(65)", r#""A""#),
            ("concat('he', 'llo')", r#""hello""#),
            ("concat(1)", r#""1""#),
            ("concat()", ""),
            ("concat('a', missing)", ""),
            ("concat([1, 2], 3, [4])", "[1,2,3,4]"),
            ("concat(true, 1.5)", r#""true1.5""#),
            ("endswith('cat', 'at')", "true"),
            ("endswith(12345, 45)", "true"),
            ("indexof('abcd', 'cd')", "2"),
            ("indexof('abcd', 'x')", "-1"),
            ("indexof(zebra, 'ρα')", "3"),
            ("length('hi')", "2"),
            ("length(zebra)", "5"),
            ("length(missing)", ""),
            ("lower('HELLO')", r#""hello""#),
            ("lpad('hi', 2)", r#""  hi""#),
            ("lpad('hi', -2)", r#""hi""#),
            ("length(lpad('', 5000))", "1000"),
            ("ltrim('  h i ')", r#""h i ""#),
            ("numbytes('hi')", "2"),
            ("numbytes('€')", "3"),
            ("regexp_matches('aaaa', 'a{2,}')", "true"),
            ("regexp_matches('xbaay', 'ba+')", "true"),
            ("regexp_matches('bbb', 'aa+')", "false"),
            ("regexp_matches('a7', '\\d')", "true"),
            (r"regexp_matches(unit, concat('[', 'A-C', ']'))", "true"),
            ("regexp_matches(unit, concat('(', 'x'))", ""),
            ("regexp_replace('abracadabra', 'bra', 'fa')", r#""afacadafa""#),
            ("regexp_replace('abc', '(a)(b)', '$2$1$0')", r#""baabc""#),
            ("regexp_replace('abc', 'b', '$9')", r#""a$9c""#),
            ("regexp_substr('hihihello', 'hi')", r#""hi""#),
            ("regexp_substr('(hi) there', '\\w+$')", r#""there""#),
            ("regexp_substr('x', 'y')", ""),
            ("replace('abracadabra', 'bra', 'fa')", r#""afacadafa""#),
            ("rpad('hi', 2)", r#""hi  ""#),
            ("rtrim(' h i  ')", r#"" h i""#),
            ("startswith('ranger', 'ran')", "true"),
            ("substring('012345', 0)", r#""012345""#),
            ("substring('012345', 2)", r#""2345""#),
            ("substring('012345', 2.745)", r#""345""#),
            ("substring(123, 2)", r#""3""#),
            ("substring('012345', -1)", r#""012345""#),
            ("substring(true, 1.2)", r#""rue""#),
            ("substring(false, -2.411e2)", r#""false""#),
            ("substring('012345', 1, 3)", r#""12""#),
            ("substring('012345', -50, 50)", r#""012345""#),
            ("substring('012345', 3, 1)", r#""""#),
            ("trim('  hi  ')", r#""hi""#),
            ("upper('hello')", r#""HELLO""#),
            ("upper(missing)", ""),
        ],
    );
}

#[test]
fn functions_on_types_members_and_arrays() {
    rows(
        &Setting::default(),
        &[
            ("isNull(nothing)", "true"),
            ("isNull(missing)", "false"),
            ("isnull(5)", "false"),
            ("isUndefined(missing)", "true"),
            ("isUndefined(nothing)", "false"),
            ("isUndefined(floor([1, 2]))", "true"),
            ("get(list, 1)", "2"),
            ("get(list, 5)", ""),
            ("get(list, -1)", ""),
            ("get('abc', 1)", r#""b""#),
            ("get(position, 'x')", "1"),
            ("get(position, 'q')", ""),
            ("get(position, 0)", ""),
            ("get(true, 0)", ""),
            ("get_or_default(missing, 'd')", r#""d""#),
            ("get_or_default(unit, 'd')", r#""C""#),
            ("get_or_default(missing)", ""),
            (
                r#"transform("enrichArray", {"site": unit}, events)"#,
                r#"[{"n":"temperature","v":27,"site":"C"},{"n":"light","v":80,"site":"C"},{"n":"temperature","v":28,"site":"C"}]"#,
            ),
            ("transform('enrichArray', {'a': 1}, list)", ""),
            ("transform('enrichArray', unit, events)", ""),
        ],
    );
    assert!(
        Setting::default()
            .text(r"SET @a = lpad('',1000), @e = concat(events, events, events, events)
                SELECT VALUE transform('enrichArray', {'a': concat(@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a,@a)}, @e) FROM 'a'")
            .contains("`transform` is larger than 131072 bytes")
    );
}

#[test]
fn functions_that_hash_and_encode() {
    rows(
        &Setting::default(),
        &[
            ("md2('hello')", r#""a9046c73e00331af68917d3804f70655""#),
            ("md5('hello')", r#""5d41402abc4b2a76b9719d911017c592""#),
            ("sha1('hello')", r#""aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d""#),
            ("sha224('hello')", r#""ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193""#),
            (
                "sha256('hello')",
                r#""2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824""#,
            ),
            ("length(sha384('hello'))", "96"),
            ("substring(sha512(5), 0, 8)", r#""06df0537""#),
            ("md5(missing)", ""),
            ("encode('hello', 'base64')", r#""aGVsbG8=""#),
            ("encode(humidity, 'base64')", r#""NDA=""#),
            ("decode('aGVsbG8=', 'base64')", r#""hello""#),
            ("decode('eyJhIjoxfQ==', 'base64')", r#"{"a":1}"#),
            ("decode(encode('{\"a\":{\"b\":2}}', 'base64'), 'base64').a.b", "2"),
            ("decode('%%', 'base64')", ""),
        ],
    );
    let binary = Setting { message: "not json \u{7}", ..Setting::default() };
    rows(&binary, &[("encode(*, 'base64')", r#""bm90IGpzb24gBw==""#)]);
    statements(
        &binary,
        &[
            ("SELECT * FROM 'a'", "unchanged"),
            ("SELECT x, topic(1) AS t FROM 'a'", r#"{"t":"plant"}"#),
            ("SELECT * FROM 'a' WHERE x = 1", "-"),
        ],
    );
}

#[test]
fn functions_about_the_message() {
    rows(
        &Setting::default(),
        &[
            ("topic()", r#""plant/7/pump""#),
            ("topic(1)", r#""plant""#),
            ("topic(4)", ""),
            ("topic(0)", ""),
            ("timestamp()", "1481825251155"),
            ("clientid()", r#""device-1""#),
            ("accountid()", r#""123456789012""#),
            ("principal()", ""),
            ("traceid()", r#""trace-1""#),
            ("sql_version()", r#""2016-03-23""#),
            ("length(newuuid())", "36"),
            ("substring(newuuid(), 14, 15)", r#""4""#),
            ("(newuuid() = newuuid())", "false"),
            ("get_mqtt_property('content_type')", ""),
            ("get_user_properties()", ""),
        ],
    );
    let properties = Box::leak(Box::new(MqttProperties {
        content_type: Some("text/plain".into()),
        is_text: Some(true),
        response_topic: Some("answers".into()),
        correlation_data: Some(b"abc".to_vec()),
        user_properties: vec![
            ("k".into(), "1".into()),
            ("l".into(), "2".into()),
            ("k".into(), "3".into()),
        ],
    }));
    let source =
        Source { client_id: None, principal: Some("cert-1"), properties: Some(properties) };
    rows(
        &Setting { source, ..Setting::default() },
        &[
            ("clientid()", r#""n/a""#),
            ("principal()", r#""cert-1""#),
            ("get_mqtt_property('content_type')", r#""text/plain""#),
            ("get_mqtt_property('format_indicator')", r#""UTF8_DATA""#),
            ("get_mqtt_property('response_topic')", r#""answers""#),
            ("get_mqtt_property('correlation_data')", r#""YWJj""#),
            ("get_user_properties('k')", r#"["1","3"]"#),
            ("get_user_properties()", r#"[{"k":"1"},{"l":"2"},{"k":"3"}]"#),
        ],
    );
}

#[test]
fn functions_on_time() {
    rows(
        &Setting::default(),
        &[
            (r#"parse_time("yyyy-MM-dd'T'HH:mm:ss'Z'", timestamp())"#, r#""2016-12-15T18:07:31Z""#),
            (
                r#"parse_time("yyyy.MM.dd G 'at' HH:mm:ss z", 1481825251155, "America/Los_Angeles")"#,
                r#""2016.12.15 AD at 10:07:31 PST""#,
            ),
            ("parse_time('EEE, d MMM yy hh:mm a', 0)", r#""Thu, 1 Jan 70 12:00 AM""#),
            (
                "parse_time('EEEE MMMM D SSS ZZ', 86399123, '+02:00')",
                r#""Friday January 2 123 +02:00""#,
            ),
            ("parse_time('HH:mm Z', 0, 'Asia/Kolkata')", r#""05:30 +0530""#),
            ("parse_time('yyyy', 0, 'Nowhere/Land')", ""),
            ("parse_time('qq', 0)", ""),
            ("parse_time('yyyy', missing)", ""),
            (
                "time_to_epoch('2020-04-03 09:45:18 UTC+01:00', \"yyyy-MM-dd HH:mm:ss 'UTC'XXX\")",
                "1585903518000",
            ),
            ("time_to_epoch('18 December 2015', 'dd MMMM yyyy')", "1450396800000"),
            (
                "time_to_epoch('2007-12-03 10:15:30.592 America/Los_Angeles', 'yyyy-MM-dd HH:mm:ss.SSS VV')",
                "1196705730592",
            ),
            ("time_to_epoch('2016-12-15T18:07:31Z', \"yyyy-MM-dd'T'HH:mm:ssX\")", "1481825251000"),
            ("time_to_epoch('20161215 06:07 PM', 'yyyyMMdd hh:mm a')", "1481825220000"),
            ("time_to_epoch('2016-13-15', 'yyyy-MM-dd')", ""),
            ("time_to_epoch('2016-12-15 x', 'yyyy-MM-dd')", ""),
        ],
    );
}

#[test]
fn functions_that_ask_interrupt_until_they_are_answered() {
    let setting = Setting::default();
    for (expr, name) in [
        ("aws_lambda('arn:aws:lambda:us-east-1:1:function:f', {'t': temperature})", "aws_lambda"),
        ("get_thing_shadow('lamp', 'role')", "get_thing_shadow"),
        ("get_registry_data('DescribeThing', 'lamp', 'role')", "get_registry_data"),
        ("get_dynamodb('t', 'k', 'v', 'role')", "get_dynamodb"),
        ("get_secret('s', 'SecretString', 'role')", "get_secret"),
    ] {
        assert_eq!(setting.expr(expr), format!("asks {name}"));
    }
    let statement = Statement::parse(
        "SELECT get_thing_shadow(unit, 'role').state.x AS x FROM 'a'",
        Version::V2016,
    )
    .unwrap();
    assert!(statement.asks());
    let mut answers = Answers::default();
    let Err(Interrupt::Asks(question)) = setting.with(|c| statement.apply(c, &answers)) else {
        panic!("it did not ask");
    };
    assert_eq!(question.arguments, vec![Value::text("C"), Value::text("role")]);
    answers.add(question, Ok(parse_json(br#"{"state":{"x":9}}"#).unwrap()));
    let output = setting.with(|c| statement.apply(c, &answers)).unwrap().unwrap();
    assert_eq!(output, Output::Value(parse_json(br#"{"x":9}"#).unwrap()));
    // A failed question fails the rule, unless a default stands by.
    let question = Question {
        function: "get_thing_shadow",
        arguments: vec![Value::text("C"), Value::text("role")],
    };
    let mut failed = Answers::default();
    failed.add(question, Err("no shadow".into()));
    assert_eq!(
        setting.with(|c| statement.apply(c, &failed)),
        Err(Interrupt::Failed("no shadow".into()))
    );
    let setting = Setting { answers: failed, ..Setting::default() };
    assert_eq!(setting.expr("get_or_default(get_thing_shadow('C', 'role'), 5)"), "5");
    assert_eq!(setting.expr("get_thing_shadow(missing, 'role')"), "");
}

#[test]
fn the_old_version_knows_less() {
    let old = Setting { version: Version::V2015, ..Setting::default() };
    statements(
        &old,
        &[
            ("SELECT ten, ten / 4 AS q FROM 'a'", r#"{"ten":10.0,"q":2.5}"#),
            ("SELECT sql_version() FROM 'a'", r#"{"sql_version":"2015-10-08"}"#),
        ],
    );
    for statement in [
        "SELECT VALUE ten FROM 'a'",
        "SELECT [ten] AS a FROM 'a'",
        "SELECT {'a': ten} AS a FROM 'a'",
        "SELECT (SELECT v FROM events) AS a FROM 'a'",
        "SELECT indexof(unit, 'C') AS i FROM 'a'",
        "SELECT length(unit) AS i FROM 'a'",
        "SELECT isUndefined(unit) AS i FROM 'a'",
        "SELECT get_or_default(unit) AS i FROM 'a'",
        "SELECT encode(*, 'base64') AS i FROM 'a'",
        "SELECT cast(ten AS Decimal) AS i FROM 'a'",
        "SELECT parse_time('yyyy', 1) AS i FROM 'a'",
    ] {
        let error = Statement::parse(statement, Version::V2015).unwrap_err();
        assert!(error.message.contains("2016-03-23"), "{statement}: {error}");
        Statement::parse(statement, Version::V2016).unwrap();
    }
}

#[test]
fn refuses_what_is_not_the_language_and_says_where() {
    for (statement, message) in [
        ("", "expected `SELECT`, found the end at 1:1"),
        ("SELECT", "expected a value, found the end at 1:7"),
        ("SELECT FROM 'a'", "expected a value, found `FROM` at 1:8"),
        ("SELECT * FROM", "expected a topic filter in quotes, found the end at 1:14"),
        ("SELECT * FROM 'a' WHERE", "expected a value, found the end at 1:24"),
        ("SELECT * FROM 'a'\nWHERE x ==\n 1", "expected a value, found `=` at 2:10"),
        ("SELECT * FROM 'a' WHERE x != 1", "`!=` is not an operator; write `<>` at 1:27"),
        (
            "SELECT * FROM 'a/#/b'",
            "topic filter `a/#/b` is not valid: `#` must be the last level at 1:15",
        ),
        ("SELECT * FROM 'a/b+'", "`+` must be a whole level"),
        ("SELECT * FROM ''", "it is empty"),
        ("SELECT nope(1) FROM 'a'", "`nope` is not a function of the rule SQL at 1:8"),
        ("SELECT abs(1, 2) FROM 'a'", "function `abs` takes 1 arguments, not 2"),
        ("SELECT substring('a') FROM 'a'", "takes 2 to 3 arguments, not 1"),
        ("SELECT a + b FROM 'a'", "this value has no name; give it one with `AS name` at 1:8"),
        ("SELECT a AS FROM 'a' x", "expected"),
        ("SELECT machinelearning_predict('m') FROM 'a'", "is not offered here"),
        ("SELECT decode(x, 'proto', 'b', 'k', 'f', 'm') AS p FROM 'a'", "`proto` is not offered"),
        ("SELECT encode(x, 'base32') AS p FROM 'a'", "accepted are base64"),
        ("SELECT regexp_matches(x, '(?=a)') AS p FROM 'a'", "pattern `(?=a)` is not accepted"),
        ("SELECT cast(x AS Blob) AS p FROM 'a'", "a type such as"),
        (
            "SELECT get_or_default(x, aws_lambda('f', 1)) AS p FROM 'a'",
            "the default of `get_or_default` must not call `aws_lambda`",
        ),
        (
            "SELECT get_dynamodb('t','k','v','r') AS a, get_dynamodb('t','k','w','r') AS b FROM 'a'",
            "once in a statement, not 2 times",
        ),
        ("SELECT (a FROM 'a'", "expected `)`"),
        ("SELECT a. FROM 'a'", "expected"),
        ("SELECT 'a FROM 'a'", "no end"),
        ("SELECT * FROM 'a' ;", "expected the end of the statement, found `;`"),
        ("SELECT a -- comment\n FROM 'a'", "this value has no name"),
        ("SELECT CASE a END AS x FROM 'a'", "expected `WHEN`"),
        ("DELETE FROM 'a'", "expected `SELECT`, found `DELETE` at 1:1"),
    ] {
        let error = Statement::parse(statement, Version::V2016).unwrap_err().to_string();
        assert!(error.contains(message), "{statement}: {error}");
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    for statement in [
        format!("SELECT {}1{} AS a FROM 'a'", "(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT {}1 AS a FROM 'a'", "-".repeat(10_000)),
        format!("SELECT {}1 AS a FROM 'a'", "NOT ".repeat(10_000)),
        format!("SELECT 1{} AS a FROM 'a'", "+1".repeat(10_000)),
        format!("SELECT {}a{} AS a FROM 'a'", "abs(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT {}1{} AS a FROM 'a'", "[".repeat(10_000), "]".repeat(10_000)),
        format!("SELECT {} AS a FROM 'a'", "(SELECT a FROM ".repeat(10_000)),
        format!("SELECT {} AS a FROM 'a'", "CASE a WHEN ".repeat(10_000)),
        format!("SELECT * FROM 'a' WHERE {}1", "1 IN ".repeat(10_000)),
    ] {
        assert!(Statement::parse(&statement, Version::V2016).is_err(), "{}", &statement[..40]);
    }
    // Long but flat is fine, and so is what the bounds allow.
    let long = format!("SELECT a{} AS x FROM 'a'", ".b".repeat(10_000));
    assert_eq!(Setting::default().text(&long), "{}");
    let sum = format!("SELECT VALUE (0{}) FROM 'a'", "+1".repeat(200));
    assert_eq!(Setting::default().text(&sum), "200");
    for many in ["[{}]", "{'m': concat([], {})}"] {
        let names = vec!["list"; 40_000].join(",");
        let statement = format!("SELECT VALUE {} FROM 'a'", many.replace("{}", &names));
        let message: &'static str = format!("{{\"list\":[{}]}}", ["1"; 500].join(",")).leak();
        let text = Setting { message, ..Setting::default() }.text(&statement);
        assert!(text.starts_with("failed: ") && text.contains("outgrew"), "{}", &text[..40]);
    }
    let growing = format!(
        "SELECT VALUE {}text{} FROM 'a'",
        "replace(".repeat(20),
        ", '', 'xxxxxxxxxxxxxxxxxxxx')".repeat(20)
    );
    assert!(Setting::default().text(&growing).starts_with("failed: a value outgrew"));
}

#[test]
fn the_work_for_one_message_is_bounded() {
    let rows = vec!["\"0123456789\""; 9_000].join(",");
    let message: &'static str = format!("{{\"rows\":[{rows}]}}").leak();
    let setting = Setting { message, ..Setting::default() };
    let name = "n".repeat(5_000);
    let all = "(SELECT VALUE n FROM @a)";
    for (statement, reason) in [
        // Rows within rows, with nothing to show for it.
        ("SET @a = rows SELECT VALUE (SELECT VALUE 1 FROM @a WHERE 'x' IN @a) FROM 'a'", "steps"),
        (
            "SET @a = rows SELECT (SELECT VALUE (SELECT VALUE 1 FROM @a WHERE 1 = 2) FROM @a) AS r",
            "",
        ),
        ("SET @a = rows SELECT VALUE (SELECT VALUE 1 FROM @a WHERE @a = @a) FROM 'a'", "steps"),
        (
            "SET @a = rows SELECT VALUE (SELECT VALUE 1 FROM @a WHERE @a + 'x' = '') FROM 'a'",
            "steps",
        ),
        // Empty values, and names, are memory as well.
        ("SET @a = rows SELECT VALUE (SELECT VALUE (SELECT VALUE [] FROM @a) FROM @a)", "outgrew"),
        (&format!("SET @a = rows SELECT (SELECT 1 AS {name} FROM @a) AS r FROM 'a'"), "outgrew"),
        (&format!("SET @a = rows SELECT VALUE (SELECT VALUE {{'{name}': 1}} FROM @a)"), "outgrew"),
        // Texts, searched for each row, and patterns, read for each row.
        (
            "SET @a = rows SELECT VALUE (SELECT VALUE 1 FROM @a WHERE \
             regexp_matches(encode(*, 'base64'), 'x{9}y'))",
            "steps",
        ),
        (
            "SET @a = rows SELECT VALUE (SELECT VALUE regexp_matches('a', concat('a', rand())) FROM @a)",
            "steps",
        ),
        (
            &format!(
                "SELECT regexp_replace(encode(*, 'base64'), '.+', '{}') AS r",
                "$0".repeat(9_000)
            ),
            "a value outgrew",
        ),
        (
            &format!(
                "SELECT regexp_replace(encode(*, 'base64'), '()', '{}') AS r",
                "$1".repeat(9_000)
            ),
            "steps",
        ),
        // What has failed for all stays failed, whatever stands in for a part.
        (
            &format!(
                "SET @a = rows SELECT get_or_default({}, 1) AS r FROM 'a'",
                all.replace("VALUE n", "VALUE (SELECT VALUE 1 FROM @a WHERE 'x' IN @a)")
            ),
            "steps",
        ),
    ] {
        let text = setting.text(statement);
        assert!(
            text.starts_with("failed: ") && text.contains(reason),
            "{statement}: {}",
            &text[..80.min(text.len())]
        );
    }
    // A join of a thousand rows with a thousand is well within.
    let few: &'static str = format!(
        "{{\"rows\":[{}]}}",
        (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    )
    .leak();
    let joined = Setting { message: few, ..Setting::default() }
        .text("SET @a = rows SELECT length(cast((SELECT VALUE 1 FROM @a WHERE 999 IN @a) AS String)) AS n");
    assert_eq!(joined, "{\"n\":2001}");
}

#[test]
fn names_and_patterns_of_a_statement_are_bounded() {
    let parse = |statement: String| Statement::parse(&statement, Version::V2016);
    let named = |parts: usize| parse(format!("SELECT a AS x{} FROM 'a'", ".x".repeat(parts - 1)));
    assert!(named(48).is_ok());
    let refused = named(20_000).unwrap_err().to_string();
    assert!(refused.contains("the name of a value has at most 48 parts"), "{refused}");
    let patterned = |count: usize| {
        let pattern = "regexp_matches(a, 'b+')";
        parse(format!("SELECT [{}] AS x FROM 'a'", vec![pattern; count].join(",")))
    };
    assert!(patterned(64).is_ok());
    let refused = patterned(65).unwrap_err().to_string();
    assert!(refused.contains("a statement has at most 64 patterns"), "{refused}");
}

#[test]
fn a_filled_template_is_bounded() {
    let statement = Statement::parse("SELECT * FROM 'a'", Version::V2016).unwrap();
    let template = Template::parse(&"${encode(*, 'base64')}".repeat(5_000), &statement).unwrap();
    let filled =
        Setting::default().with(|context| template.fill(&statement, context, &Answers::default()));
    let Err(Interrupt::Failed(reason)) = filled else { panic!("{filled:?}") };
    assert!(reason.starts_with("a value outgrew"), "{reason}");
}

#[test]
fn templates_see_the_message_and_the_variables() {
    let statement =
        Statement::parse("SET @site = topic(2) SELECT unit AS u FROM 'a'", Version::V2016).unwrap();
    let fill = |source: &str| {
        let template = Template::parse(source, &statement).unwrap();
        Setting::default().with(|context| template.fill(&statement, context, &Answers::default()))
    };
    for (source, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("${topic(3)}/${unit}", "pump/C"),
        ("a/${cast(humidity AS String)}/b", "a/40/b"),
        ("${@site}", "7"),
        ("${u}", ""),
        ("${missing}", ""),
        ("${get({'a': '}'}, 'a')}!", "}!"),
        ("${temperature * 2}", "43"),
        ("$ {x} $$aws", "$ {x} $$aws"),
    ] {
        assert_eq!(fill(source).unwrap(), expected, "{source}");
    }
    for source in ["${", "${topic(}", "${a b}", "x ${@unknown}"] {
        assert!(Template::parse(source, &statement).is_err(), "{source}");
    }
    let asking = Template::parse("${get_secret('a','SecretString','r')}", &statement).unwrap();
    assert!(asking.asks());
}

#[test]
fn any_text_is_read_or_refused_without_a_panic() {
    // A small deterministic mutation run; the fuzz target does this at length.
    let seeds = [
        "SET @a = 1 SELECT *, topic(2) AS t.u, get(x, 0).y FROM 'a/+/#' WHERE a.b <> 'c' AND NOT d IN (1,2)",
        "SELECT VALUE (SELECT VALUE v FROM e WHERE n = \"x\\\"y\") FROM 'a'",
        "SELECT CASE a WHEN 1 THEN {'k': [1, -2.5e3]} ELSE cast('1' AS Decimal) END AS r FROM a/b",
    ];
    let mut state = 42u64;
    let mut next = |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let pieces =
        ["'", "(", ")", "*", "@", "é", "SELECT ", "FROM ", "\\", "{", "]", ".", "9e999", ","];
    for round in 0..6_000 {
        let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
        for _ in 0..=next(4) {
            let at = next(text.len());
            match next(3) {
                0 if text.len() > 1 => drop(text.remove(at)),
                1 => text.truncate(at.max(1)),
                _ => {
                    let piece = pieces[next(pieces.len())];
                    text.splice(at..at, piece.chars());
                }
            }
        }
        let text: String = text.into_iter().collect();
        exercise(format!("{text}\0{MESSAGE}").as_bytes());
        exercise(format!("SELECT * FROM 'a'\0{text}").as_bytes());
        let _ = json::parse(text.as_bytes());
    }
}
