//! What answers of a registry mean, and how messages wait for them; asked of a server that says what a test tells it to.

use crate::learning::Learning;
use crate::queue::Taken;
use crate::registry::Registry;
use crate::registry_client::Reference;
use crate::schemas::Schemas;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stygian_api::{ConnectorError, Secret};
use stygian_formats::{WriterSchemas, avro_frame};
use tiny_http::{Header, Response, Server};

const V1: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"string"}]}"#;

/// A registry that gives to each question, "GET /path", an answer.
struct Fake {
    server: Arc<Server>,
    asked: Arc<Mutex<Vec<String>>>,
}

type Answer = (u16, String);

impl Fake {
    fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").expect("a port"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (served, seen) = (server.clone(), asked.clone());
        std::thread::spawn(move || {
            for mut request in served.incoming_requests() {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).expect("a body");
                let who = request.headers().iter().find(|header| header.field.equiv("Authorization"));
                let who = who.map(|header| format!(" as {}", header.value)).unwrap_or_default();
                let question = format!("{} {}{who}", request.method(), request.url());
                seen.lock().expect("a lock").push(if body.is_empty() { question.clone() } else { format!("{question} {body}") });
                let (status, text) = answer(&question);
                let mut response = Response::from_string(text.clone()).with_status_code(status);
                if status == 302 {
                    response.add_header(Header::from_bytes("Location", text).expect("a header"));
                }
                let _ = request.respond(response);
            }
        });
        Self { server, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.server_addr())
    }

    fn registry(&self) -> Registry {
        Registry { url: self.url(), user: None, password: None, ca: None }
    }

    fn schemas(&self) -> Schemas {
        Schemas::new(self.registry().client(Path::new(".")).expect("a client"))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.unblock();
    }
}

fn schema(text: &str) -> Answer {
    (200, json!({ "schema": text }).to_string())
}

fn error(status: u16, code: u32, words: &str) -> Answer {
    (status, json!({ "error_code": code, "message": words }).to_string())
}

fn told(error: &ConnectorError) -> (String, bool) {
    (crate::avro::told(error), error.may_pass())
}

#[test]
fn what_a_registry_does_not_have_is_no_error_and_what_it_refuses_is() {
    let fake = Fake::new(|question| match question {
        "GET /schemas/ids/1" => error(404, 40403, "Schema not found"),
        "GET /schemas/ids/2" => (404, "<html>nothing here</html>".into()),
        "GET /schemas/ids/3" => error(401, 401, "who are you?"),
        "GET /schemas/ids/4" => error(503, 50003, "the leader is away"),
        "GET /schemas/ids/5" => (200, "<html>hello</html>".into()),
        "GET /schemas/ids/6" => (200, "x".repeat(3 << 20)),
        "GET /schemas/ids/7" => (302, "/schemas/ids/7".into()),
        "POST /subjects/a%2Fb/versions" => error(409, 409, "field a: type changed"),
        "POST /subjects/a%2Fb" => error(404, 40401, "Subject not found"),
        other => panic!("asked {other}"),
    });
    let (client, url) = (fake.registry().client(Path::new(".")).expect("a client"), fake.url());
    assert_eq!(client.schema(1).expect("none"), None);
    assert_eq!(client.look_up("a/b", V1).expect("none"), None);
    let failed = |id| told(&client.schema(id).expect_err("failed"));
    let at = |id| format!("cannot ask the schema registry at {url} for schema {id}: ");
    assert_eq!(failed(2), (format!("{}it answers 404; look at `url` of `registry`, which may need a path", at(2)), false));
    let cure = "look at `user` and `password` of `registry`, and what they may do there";
    assert_eq!(failed(3), (format!("{}it answers 401: who are you?; {cure}", at(3)), false));
    let away =
        format!("could not ask the schema registry at {url} for schema 4: it answers 503: the leader is away; look whether it is well");
    assert_eq!(failed(4), (away, true));
    for (id, words) in [(5, "its answer is none of a registry's"), (6, "its answer has more than"), (7, "redirect")] {
        let (text, may_pass) = failed(id);
        assert!(text.starts_with(&at(id)) && text.contains(words) && !may_pass, "{text}");
    }
    let (text, may_pass) = told(&client.register("a/b", V1).expect_err("refused"));
    let expected = format!(
        "cannot ask the schema registry at {url} to register a schema in subject `a/b`: the schema is not compatible with those that the subject has; it answers 409: field a: type changed; "
    );
    assert!(text.starts_with(&expected) && !may_pass, "{text}");
    assert_eq!(fake.asked()[1], format!("POST /subjects/a%2Fb {}", json!({ "schema": V1 })));
}

#[test]
fn one_that_is_away_may_come_back_and_a_password_is_told_to_it_alone() {
    let away = Registry { url: "http://127.0.0.1:1".into(), user: None, password: None, ca: None };
    let (text, may_pass) = told(&away.client(Path::new(".")).expect("a client").schema(1).expect_err("away"));
    assert!(text.contains("the schema registry at http://127.0.0.1:1 for schema 1: ") && text.contains("refused") && may_pass, "{text}");

    let folder = std::env::temp_dir().join(format!("stygian-registry-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("password");
    std::fs::write(&path, "hunter2\n").expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let fake = Fake::new(|question| if question.contains(" as ") { schema(V1) } else { error(403, 403, "no") });
    let registry = Registry { user: Some("me".into()), password: Some(Secret::File("password".into())), ..fake.registry() };
    assert!(!format!("{registry:?}").contains("hunter2"));
    let client = registry.client(&folder).expect("a client");
    std::fs::remove_dir_all(&folder).expect("removed");
    assert_eq!(client.schema(1).expect("asked").expect("there").schema, V1);
    // `printf me:hunter2 | base64`
    assert_eq!(fake.asked(), ["GET /schemas/ids/1 as Basic bWU6aHVudGVyMg=="]);
}

#[test]
fn schemas_are_asked_for_once_and_bad_ones_are_told() {
    let fake = Fake::new(|question| match question {
        "GET /schemas/ids/1" => schema(V1),
        "GET /schemas/ids/2" => schema("\"string\""),
        "GET /schemas/ids/3" => (200, json!({ "schema": "message x {}", "schemaType": "PROTOBUF" }).to_string()),
        "GET /schemas/ids/4" => {
            let text = r#"{"type":"record","name":"q","fields":[{"name":"r","type":"r"}]}"#;
            (200, json!({ "schema": text, "references": [{ "name": "r", "subject": "rs", "version": 5 }] }).to_string())
        }
        "GET /subjects/rs/versions/5" => schema(V1),
        _ => error(404, 40403, "Schema not found"),
    });
    let schemas = fake.schemas();
    assert_eq!(schemas.unknown([1, 2, 9]), [1, 2, 9]);
    schemas.learn(&[1, 2, 3, 4, 9]).expect("learned");
    assert_eq!(schemas.unknown([1, 2, 3, 4, 9, 10]), [10]);
    assert_eq!(schemas.writer(1).expect("good").columns().field(0).name(), "a");
    assert_eq!(schemas.writer(4).expect("good").columns().field(0).name(), "r");
    let told = |id| schemas.writer(id).expect_err("none");
    assert_eq!(told(2), "schema 2 cannot be used: its rows are no records");
    assert_eq!(told(3), "schema 3 cannot be used: it is of PROTOBUF, not of Avro");
    for id in [9, 10] {
        assert_eq!(told(id), format!("the registry at {} has no schema with id {id}", fake.url()));
    }
    assert_eq!(fake.asked().len(), 6);
    let lost = Reference { subject: "no".into(), version: 1 };
    let registered = crate::registry_client::Registered { schema: V1.into(), kind: None, references: vec![lost], version: None, id: None };
    let reason = schemas.read(&registered).expect("asked").expect_err("refused");
    assert_eq!(reason, "it refers to version 1 of subject `no`, which the registry does not have");
}

/// Ids that are made up must not push out those that rows are held back for.
#[test]
fn good_schemas_are_kept_however_many_ids_there_are_not() {
    let fake = Fake::new(|question| match question {
        "GET /schemas/ids/1" => schema(V1),
        "GET /schemas/ids/2" => schema("\"string\""),
        _ => error(404, 40403, "Schema not found"),
    });
    let schemas = fake.schemas();
    schemas.learn(&[1, 2]).expect("learned");
    let made_up: Vec<u32> = (100..100 + 3 * u32::try_from(crate::schemas::MOST).expect("few")).collect();
    schemas.learn(&made_up).expect("learned");
    assert!(schemas.unknown([1, 2]).is_empty(), "both are remembered");
    assert!(!schemas.unknown(made_up).is_empty(), "the others are not all");
    assert_eq!(schemas.writer(1).expect("good").columns().field(0).name(), "a");
}

fn taken(ids: &[u32]) -> Taken {
    let payloads = ids.iter().flat_map(|id| avro_frame(*id)).collect();
    let ranges = (0..ids.len()).map(|at| at * 5..at * 5 + 5).collect();
    Taken { payloads, ranges, offsets: (0..ids.len() as u64).collect(), ..Taken::default() }
}

#[tokio::test]
async fn messages_wait_until_a_registry_that_is_away_is_back() {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = times.clone();
    let fake = Fake::new(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 | 2 => error(500, 50001, "not now"),
        _ => schema(V1),
    });
    let mut learning = Learning::new(Arc::new(fake.schemas()));
    assert!(learning.pass(taken(&[1, 1, 2])).is_none() && learning.is_waiting());
    let (mut moments, mut passed) = (0, None);
    while passed.is_none() {
        passed = learning.wait(Duration::from_millis(20)).await.expect("it may pass");
        moments += 1;
        assert!(moments < 500, "it does not come");
    }
    assert_eq!((passed.map(|taken| taken.offsets), learning.is_waiting()), (Some(vec![0, 1, 2]), false));
    // Failed, the first; failed, the second. What was learned is not asked for again.
    assert_eq!(fake.asked(), ["GET /schemas/ids/1", "GET /schemas/ids/1", "GET /schemas/ids/2", "GET /schemas/ids/2"]);
    assert!(learning.pass(taken(&[2, 1])).is_some());
}

#[tokio::test]
async fn messages_do_not_wait_for_what_will_not_pass() {
    let fake = Fake::new(|_| error(401, 401, "no"));
    let mut learning = Learning::new(Arc::new(fake.schemas()));
    assert!(learning.pass(taken(&[1])).is_none());
    let failed = loop {
        match learning.wait(Duration::from_millis(20)).await {
            Ok(waits) => assert!(waits.is_none()),
            Err(error) => break error,
        }
    };
    assert!(!failed.may_pass(), "{failed}");
}
