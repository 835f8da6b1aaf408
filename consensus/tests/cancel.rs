//! Does every method stop when nobody wants its result any more?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quorate_consensus::agreement::*;
use quorate_consensus::delphi::{DelphiConfig, delphi_round};
use quorate_consensus::density::density_pool;
use quorate_consensus::panel::{Ballot, Position, score_panel};
use quorate_consensus::pooling::{Opinions, condorcet_jury};
use quorate_consensus::ranking::*;
use quorate_consensus::swarm::*;
use quorate_consensus::text::{ClusterConfig, Linkage, rover, semantic_clusters};
use quorate_consensus::truth::*;
use quorate_consensus::{Ratings, icc};
use quorate_core::{Cancel, Code, Result};
use std::time::{Duration, Instant};

type Job = (&'static str, Box<dyn Fn() -> Result<()> + Send>);

/// Every method, on little data.
fn methods() -> Vec<Job> {
    fn job<T>(name: &'static str, f: impl Fn() -> Result<T> + Send + 'static) -> Job {
        (name, Box::new(move || f().map(|_| ())))
    }
    let data = || Ratings::from_matrix(&[1.0, 2.0, 2.0, 1.0, 2.0, 1.0, 1.0, 2.0, 2.0], 3, 3);
    let two = || Ratings::from_matrix(&[1.0, 2.0, 2.0, 1.0, 2.0, 1.0], 2, 3);
    let profile = || Profile::from_rankings(&[(["a", "b", "c"], 2.0), (["b", "c", "a"], 1.0)]);
    let pairs = move || Comparisons::from_profile(&profile()?);
    let opinions = || Opinions::from_rows(&[[0.5, 0.5], [0.2, 0.8]]);
    let plain = KappaOptions::default;
    let vectors = [[1.0, 0.0], [0.0, 1.0]];
    let ballots = |positions: Vec<Position>| -> Vec<Ballot> {
        positions.into_iter().enumerate().map(|(i, p)| Ballot::new(format!("v{i}"), p)).collect()
    };
    let mut all = vec![
        job("alpha", move || krippendorff_alpha(&data()?, &AlphaOptions::default())),
        job("alpha items", move || {
            krippendorff_alpha(&data()?, &AlphaOptions { bootstrap: 9, ..AlphaOptions::default() })
        }),
        job("alpha pairs", move || {
            let options = AlphaOptions { bootstrap: 9, resample: Resample::Pairs, ..AlphaOptions::default() };
            krippendorff_alpha(&data()?, &options)
        }),
        job("fleiss", move || fleiss_kappa(&data()?, &plain())),
        job("conger", move || conger_kappa(&data()?, &plain())),
        job("light", move || light_kappa(&data()?, &plain())),
        job("scott", move || scott_pi(&two()?, &plain())),
        job("cohen", move || cohen_kappa_of(&two()?, &plain())),
        job("brennan", move || brennan_prediger(&data()?, &plain())),
        job("gwet", move || gwet_ac(&data()?, &plain())),
        job("percent", move || percent_agreement(&data()?, &plain())),
        job("kendall", move || kendall_w(&data()?)),
        job("icc", move || icc(&data()?, IccForm::TwoSingle, 0.95)),
        job("majority", move || majority_vote(&data()?)),
        job("wawa", move || wawa(&data()?)),
        job("zbs", move || zero_based_skill(&data()?, &ZeroBasedSkillOptions::default())),
        job("dawid_skene", move || dawid_skene(&data()?, &EmOptions::default())),
        job("one_coin", move || one_coin(&data()?, &EmOptions::default())),
        job("glad", move || glad(&data()?, &GladOptions::default())),
        job("mace", move || mace(&data()?, &MaceOptions::default())),
        job("kos", move || kos(&data()?, &KosOptions::default())),
        job("m_msr", move || m_msr(&data()?, &MsrOptions::default())),
        job("borda", move || borda(&profile()?, &VoteConfig::default())),
        job("copeland", move || copeland(&profile()?, &VoteConfig::default())),
        job("minimax", move || minimax(&profile()?, &VoteConfig::default())),
        job("schulze", move || schulze(&profile()?, &VoteConfig::default())),
        job("ranked_pairs", move || ranked_pairs(&profile()?, &VoteConfig::default())),
        job("kemeny", move || kemeny(&profile()?, &KemenyConfig::default())),
        job("kemeny search", move || {
            kemeny(&profile()?, &KemenyConfig { exact_options: 2, ..KemenyConfig::default() })
        }),
        job("runoff", move || instant_runoff(&profile()?, &RunoffConfig::default())),
        job("plackett_luce", move || plackett_luce(&profile()?, Unranked::Last, &StrengthConfig::default())),
        job("bradley_terry", move || bradley_terry(&pairs()?, &StrengthConfig::default())),
        job("rank_centrality", move || rank_centrality(&pairs()?, &StrengthConfig::default())),
        job("density_pool", move || density_pool(&opinions()?, None)),
        job("swarm_pool", move || swarm_pool(&opinions()?, None, &SwarmConfig::default())),
        job("honeybee", || honeybee(&[5.0, 4.5], &HoneybeeConfig::default())),
        job("jury", || condorcet_jury(&[0.6; 5])),
        job("rover", || rover(&[vec!["a", "b"], vec!["a"]], None)),
        job("delphi", || delphi_round(&[[8.0, 2.0], [8.0, 9.0]], None, &DelphiConfig::default())),
        job("panel of rankings", move || {
            score_panel(&ballots(vec![Position::Ranking(vec!["x".into(), "y".into()]); 2]))
        }),
        job("panel of probabilities", move || {
            score_panel(&ballots(vec![Position::Probability(vec![("x".into(), 1.0)]); 2]))
        }),
    ];
    for linkage in [Linkage::Complete, Linkage::Single] {
        let config = ClusterConfig { linkage, ..ClusterConfig::default() };
        all.push(job("clusters", move || semantic_clusters(&vectors, None, &config)));
    }
    all
}

#[test]
fn every_method_looks_at_the_flag() {
    let cancel = Cancel::new();
    for (name, run) in methods() {
        assert!(cancel.cover(&run).is_ok(), "{name}");
    }
    cancel.cancel();
    for (name, run) in methods() {
        match cancel.cover(&run) {
            Err(error) => assert_eq!(error.code(), Code::Cancelled, "{name}"),
            Ok(()) => panic!("{name} does not look"),
        }
        // Outside its cover the flag is nobody's business.
        assert!(run().is_ok(), "{name}");
    }
}

/// Work that would take minutes ends soon after the flag is raised by another thread.
#[test]
fn long_work_ends_soon() {
    let (items, raters) = (20_000i64, 300i64);
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..100_000i64 {
        columns.0.push(n % items);
        columns.1.push((n * 7 + n / items) % raters);
        columns.2.push((n * n + n / 3) % 4);
    }
    let options = quorate_consensus::RatingsOptions {
        duplicates: quorate_consensus::Duplicates::First,
        ..Default::default()
    };
    let data = Ratings::with_options(&columns.0, &columns.1, &columns.2, &options).unwrap();
    let rows: Vec<Vec<f64>> =
        (0..30).map(|r| (0..200).map(|c| f64::from(1 + (r * c) % 7)).collect()).collect();
    let rows: Vec<Vec<f64>> =
        rows.into_iter().map(|r| r.iter().map(|x| x / r.iter().sum::<f64>()).collect()).collect();
    let opinions = Opinions::from_rows(&rows).unwrap();
    // The states of so many experts are multiplied for seconds, before the first eigenvalue is looked for.
    let many: Vec<Vec<f64>> =
        (0..1_900).map(|r| (0..4_000).map(|c| f64::from(u8::from(r == c))).collect()).collect();
    let many = Opinions::from_rows(&many).unwrap();
    let never = 1e-300;
    let jobs: Vec<(&str, Box<dyn Fn() -> Code + Sync>)> = vec![
        (
            "alpha",
            Box::new(|| {
                let options = AlphaOptions { bootstrap: 1_000_000, ..AlphaOptions::default() };
                krippendorff_alpha(&data, &options).unwrap_err().code()
            }),
        ),
        (
            "mace",
            Box::new(|| {
                let options = MaceOptions { restarts: 5000, tol: 0.0, ..MaceOptions::default() };
                mace(&data, &options).unwrap_err().code()
            }),
        ),
        (
            "zero_based_skill",
            Box::new(|| {
                let options =
                    ZeroBasedSkillOptions { max_iter: 1_000_000, ..ZeroBasedSkillOptions::default() };
                zero_based_skill(&data, &options).unwrap_err().code()
            }),
        ),
        (
            "glad",
            Box::new(|| {
                glad(&data, &GladOptions { max_iter: 1_000_000, tol: 0.0, ..GladOptions::default() })
                    .unwrap_err()
                    .code()
            }),
        ),
        (
            "swarm_pool",
            Box::new(|| {
                let config =
                    SwarmConfig { particles: 2000, max_iter: 100_000, tol: never, ..SwarmConfig::default() };
                swarm_pool(&opinions, None, &config).unwrap_err().code()
            }),
        ),
        ("density_pool", Box::new(|| density_pool(&many, None).unwrap_err().code())),
        (
            "kemeny",
            Box::new(|| {
                let names: Vec<String> = (0..200).map(|i| format!("o{i}")).collect();
                let mut profile = Profile::new(names).unwrap();
                for k in [1u32, 3, 7, 9, 11, 13] {
                    profile
                        .add_codes(
                            &(0..200)
                                .map(|i| i * k % 200)
                                .collect::<std::collections::BTreeSet<u32>>()
                                .into_iter()
                                .map(|x| (x * 37 + k) % 200)
                                .collect::<Vec<u32>>(),
                            f64::from(k),
                        )
                        .unwrap();
                }
                profile.add_codes(&(0..200).rev().collect::<Vec<u32>>(), 15.0).unwrap();
                match kemeny(&profile, &KemenyConfig { restarts: 100_000, ..KemenyConfig::default() }) {
                    Ok(_) => Code::Cancelled, // no circle, nothing to search
                    Err(e) => e.code(),
                }
            }),
        ),
    ];
    for (name, run) in &jobs {
        let cancel = Cancel::new();
        let raised = std::thread::scope(|scope| {
            let flag = cancel.clone();
            let timer = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                flag.cancel();
                Instant::now()
            });
            assert_eq!(cancel.cover(run), Code::Cancelled, "{name}");
            timer.join().unwrap()
        });
        assert!(raised.elapsed() < Duration::from_secs(2), "{name}: {:?} after the flag", raised.elapsed());
    }
}
