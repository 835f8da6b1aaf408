//! Are the options and messages of queues read and written as hosts name them?

use super::*;

#[test]
fn options_say_what_is_wrong_with_them() {
    for given in [
        json!({"concurrency": 0}),
        json!({"concurrency": 1.5}),
        json!({"per_key": {"tenant": 0}}),
        json!({"per_key": "tenant"}),
        json!({"rate": "0/m"}),
        json!({"rate": 100}),
        json!({"aging": 0}),
        json!({"aging": true}),
        json!({"lease": 1e-9}),
        json!({"retry": 0}),
        json!({"retry": true}),
        json!({"retry": {"attempts": 3}}),
        json!({"retry": {"factor": 0.5}}),
        json!({"dedup_for": "soon"}),
        json!({"ordered": 1}),
        json!({"concurency": 4}),
        json!([]),
    ] {
        let error = queue_options(Host::Python, given.clone()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{given}");
    }
    assert_eq!(queue_options(Host::Python, json!({"rate": null, "lease": null})).unwrap(), None);
    let put = put_options(Host::Node, json!({"delay": "2m", "key": {"tenantId": "a"}})).unwrap();
    assert_eq!(put.delay, Some(120.0));
    assert!(put_options(Host::Python, json!({"delay": -1})).is_err());
    assert!(put_options(Host::Python, json!({"priority": 1e300})).is_err());
    assert!(put_options(Host::Python, json!({"key": 7})).is_err());
    assert!(work_options(Host::Python, json!({"threads": 0})).is_err());
    let from = subscribe_options(Host::Node, json!({"from": "first", "retry": {"maxAttempts": 2}})).unwrap();
    assert_eq!((from.from, from.retry.max_attempts), (quorate_state::StartFrom::First, 2));
    assert!(subscribe_options(Host::Python, json!({"from_": "yesterday"})).is_err());
    let saga = saga_options(Host::Python, json!({"recover": "forward", "undo": 7})).unwrap();
    assert_eq!((saga.undo.max_attempts, saga.undo.first), (7, 0.1));
    assert!(saga_options(Host::Python, json!({"recover": "back"})).is_err());
}

#[test]
fn what_users_have_put_keeps_its_names() {
    let line = open(&StateStore::memory(), None, "q", None).unwrap();
    line.put(&json!({"due_at": 1}), &put_options(Host::Node, json!({"key": {"a_b": "x"}})).unwrap()).unwrap();
    let taken = line.take(Host::Node, 1).unwrap();
    assert_eq!((&taken[0]["data"]["due_at"], &taken[0]["key"]["a_b"]), (&json!(1), &json!("x")));
    assert!(taken[0]["leaseUntil"].is_number() && taken[0].get("lease_until").is_none());
    let lease = taken[0]["lease"].as_str().unwrap().to_owned();
    assert!(!line.nack(Host::Node, lease.clone(), json!({"delay": 0, "reason": "busy"})).unwrap());
    assert_eq!(line.ack(lease).unwrap_err().code(), Code::StaleWrite);
    assert!(ids(&json!([1, -1])).is_err() && ids(&json!("12")).is_err());
}
