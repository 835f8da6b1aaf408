//! Are statements that change a word of their source told from those that only say it otherwise?
//!
//! Each pair is a sentence of a source and a statement about it. What is supported here and is not said there would be a
//! wrong answer with a citation.

#![allow(clippy::unwrap_used)]

use quorate_core::Cancel;
use quorate_runtime::{Passage, Verdict, check};

fn is_supported(source: &str, claim: &str) -> bool {
    let passage =
        Passage { doc_id: "d".into(), text: source.into(), end: source.len(), ..Passage::default() };
    let checks = check(claim, &[passage], None, &Cancel::new()).unwrap();
    checks.len() == 1 && checks[0].verdict == Verdict::Supported
}

/// The source does not say it.
const CHANGED: &[(&str, &str)] = &[
    (
        "No differences were found in level of education.",
        "No differences were not found in level of education.",
    ),
    (
        "Metformin is not recommended in patients with severe renal impairment.",
        "Metformin is recommended in patients with severe renal impairment.",
    ),
    ("No evidence was found that the drug reduces mortality.", "The drug reduces mortality."),
    ("There is no evidence that vitamin C prevents colds.", "Vitamin C prevents colds."),
    (
        "The study failed to show a benefit of statins in children.",
        "The study showed a benefit of statins in children.",
    ),
    (
        "Patients should avoid grapefruit juice while taking simvastatin.",
        "Patients should take grapefruit juice while taking simvastatin.",
    ),
    ("Anaphylaxis occurs rarely with iodine contrast.", "Anaphylaxis occurs often with iodine contrast."),
    ("Neither aspirin nor clopidogrel improved survival.", "Aspirin improved survival."),
    ("The risk was lower in non-smokers.", "The risk was lower in smokers."),
    ("Das Gerät darf nicht sterilisiert werden.", "Das Gerät darf sterilisiert werden."),
    ("Keines der Kinder wurde geimpft.", "Die Kinder wurden geimpft."),
    ("Le médicament n'est pas recommandé chez l'enfant.", "Le médicament est recommandé chez l'enfant."),
    ("El medicamento no se recomienda en niños.", "El medicamento se recomienda en niños."),
    ("Il farmaco non è raccomandato nei bambini.", "Il farmaco è raccomandato nei bambini."),
    ("Het geneesmiddel is niet geschikt voor kinderen.", "Het geneesmiddel is geschikt voor kinderen."),
    ("The dose of ceftriaxone is 5 mg/kg daily.", "The dose of ceftriaxone is 5 mg daily."),
    ("The dose of ceftriaxone is 5 mg daily.", "The dose of ceftriaxone is 5 mg/kg daily."),
    ("Metformin is contraindicated when eGFR is < 30.", "Metformin is contraindicated when eGFR is > 30."),
    ("Treat when systolic pressure is above 140 mmHg.", "Treat when systolic pressure is below 140 mmHg."),
    ("Treat when systolic pressure is ≥ 140 mmHg.", "Treat when systolic pressure is < 140 mmHg."),
    ("The mean change in weight was -5 %.", "The mean change in weight was 5 %."),
    ("The mean change in weight was −5 kg.", "The mean change in weight was 5 kg."),
    ("Take metformin 500 mg once daily.", "Take metformin 500 mg twice daily."),
    ("Take metformin 500 mg three times daily.", "Take metformin 500 mg twice daily."),
    ("Take two tablets of metformin daily.", "Take one tablet of metformin daily."),
    ("Take one tablet of metformin daily.", "Take two tablets of metformin daily."),
    ("Asthma affects 2 million people.", "Asthma affects 2 billion people."),
    ("The drug was approved in March 2020.", "The drug was approved in May 2020."),
    ("The drug was approved in May 2020.", "The drug was approved in March 2020."),
    ("Keep the pressure at 13 kPa.", "Keep the pressure at 13 mmHg."),
    ("Glucose should stay below 7 mmol/l.", "Glucose should stay below 7 mg/dl."),
    ("The starting dose for adults is 10 mg.", "The starting dose for children is 10 mg."),
    ("The tumour lies in the left lung.", "The tumour lies in the right lung."),
    ("The risk is higher in women.", "The risk is higher in men."),
    ("The drug lowers systolic pressure.", "The drug lowers diastolic pressure."),
    ("Insulin can cause hypoglycemia.", "Insulin can cause hyperglycemia."),
    ("The solution is for oral use.", "The solution is for intravenous use."),
    ("It is used for acute pain.", "It is used for chronic pain."),
    ("Take the tablet in the morning.", "Take the tablet in the evening."),
    ("The drug may reduce mortality.", "The drug reduces mortality."),
    ("Coffee is possibly associated with cancer.", "Coffee is associated with cancer."),
    ("It is unclear whether coffee causes cancer.", "Coffee causes cancer."),
    ("The guideline was valid until 2010.", "The guideline was valid since 2010."),
    ("Some patients improved after surgery.", "All patients improved after surgery."),
    ("The drug is approved for adults.", "The drug is approved only for adults."),
    ("Aspirin inhibits platelets.", "Platelets inhibit aspirin."),
    ("Store the vials at 2-8 °C.", "Store the vials at 20-80 °C."),
    ("Give 0.5 mg of lorazepam.", "Give 5 mg of lorazepam."),
    ("Give .5 mg of lorazepam.", "Give 5 mg of lorazepam."),
    ("Give 1,000 mg of paracetamol.", "Give 1 mg of paracetamol."),
    ("Give 1.000 mg Paracetamol alle 6 Stunden.", "Give 1 mg Paracetamol alle 6 Stunden."),
    ("The half-life of the drug is 2 hours.", "The half-life of the drug is 2 days."),
    ("Survival was 50 months with the drug.", "Survival was 50 weeks with the drug."),
    ("The drug is safe in pregnancy.", "The drug is unsafe in pregnancy."),
    ("The lesion was operable.", "The lesion was inoperable."),
    ("The result was statistically significant.", "The result was statistically insignificant."),
    ("The result was statistically significant.", "The result was not statistically significant."),
    ("Take it with food.", "Take it without food."),
    ("Patients with diabetes were excluded.", "Patients with diabetes were included."),
    ("The drug is hepatotoxic.", "The drug is nephrotoxic."),
    ("The patient has type 1 diabetes.", "The patient has type 2 diabetes."),
    ("The patient has type I diabetes.", "The patient has type II diabetes."),
    ("The trial enrolled 120 patients in phase III.", "The trial enrolled 120 patients in phase II."),
    ("Vitamin B12 was given.", "Vitamin B6 was given."),
    ("Vitamin D was given to the patients.", "Vitamin K was given to the patients."),
    ("Hepatitis B is treated with tenofovir.", "Hepatitis C is treated with tenofovir."),
    ("The first-line treatment is metformin.", "The second-line treatment is metformin."),
    ("The drug was approved in 2019 by the FDA.", "The drug was approved in 2019 by the EMA."),
    ("The dose is ５００ mg.", "The dose is 850 mg."),
    ("The dose is ٥٠٠ mg.", "The dose is 850 mg."),
    ("The concentration is 5×10⁻³ mol/l.", "The concentration is 5×10³ mol/l."),
    ("The p-value was 1e-5.", "The p-value was 1e5."),
    ("The area is 5 m².", "The area is 5 m."),
    ("About ½ of the patients improved.", "About ¼ of the patients improved."),
    ("Blood pressure was 120/80 mmHg.", "Blood pressure was 80/120 mmHg."),
    ("The ratio was 1:1000.", "The ratio was 1:10000."),
    (
        "If creatinine rises by more than 30 %, stop the drug.",
        "If creatinine rises by less than 30 %, stop the drug.",
    ),
    (
        "It must be taken at least 30 minutes before meals.",
        "It must be taken at most 30 minutes before meals.",
    ),
    ("Up to 4 g of paracetamol per day are allowed.", "At least 4 g of paracetamol per day are allowed."),
    ("Wir empfehlen Metformin bei Kindern nicht.", "Wir empfehlen Metformin bei Kindern."),
    ("Give no more than 5 mg of lorazepam.", "Give at least 5 mg of lorazepam."),
    (
        "Metformin is not recommended in children. It is recommended in adults.",
        "Metformin is recommended in children.",
    ),
    ("The clearance was 60 ml/min.", "The clearance was 60 ml/h."),
    ("One of the patients died of sepsis.", "Two of the patients died of sepsis."),
    ("The risk is high.", "The risk is low."),
    ("The drug is available.", "The drug is unavailable."),
    ("Treatment is started early.", "Treatment is started late."),
    ("Half of the patients relapsed.", "All of the patients relapsed."),
    ("Give 5 mg IV every 8 h.", "Give 5 mg IV every 6 h."),
    ("The drug is metabolised by CYP3A4.", "The drug is metabolised by CYP2D6."),
    ("Survival improved from 20 to 30 months.", "Survival improved from 30 to 20 months."),
    ("Systolic pressure fell from 150 to 120 mmHg.", "Systolic pressure fell from 120 to 150 mmHg."),
];

/// The source says it.
const SAID: &[(&str, &str)] = &[
    ("The dose of ceftriaxone is 5 mg/kg daily.", "The dose of ceftriaxone is 5 mg per kilogram daily."),
    ("The mean change in weight was -5 kg.", "The mean change in weight was -5 kg."),
    ("Take metformin 500 mg two times daily.", "Take metformin 500 mg twice daily."),
    ("Asthma affects 2 million people.", "Asthma affects 2,000,000 people."),
    ("Stop the drug if a rash appears.", "Stop the drug if a rash appears."),
    ("Ramipril lowers blood pressure.", "Blood pressure is lowered by ramipril."),
    (
        "The usual starting dose of metformin is 500 mg twice daily.",
        "Metformin is started at 500 mg twice daily.",
    ),
    ("Store the vials at 2 to 8 °C.", "Store the vials at 2-8 °C."),
    ("The dose is 10-20 mg.", "The dose is 10 to 20 mg."),
    ("Ramipril lowers blood pressure.", "Ra\u{200b}mipril lowers blood pressure."),
    ("Caf\u{e9} workers were studied.", "Cafe\u{301} workers were studied."),
    ("The dose is ５００ mg.", "The dose is 500 mg."),
    ("The drug is not only effective but also cheap.", "The drug is effective."),
    ("Give no more than 5 mg of lorazepam.", "Give at most 5 mg of lorazepam."),
    (
        "It is not recommended in patients with asthma.",
        "It is not recommended in patients with severe asthma.",
    ),
    ("Mortality fell by 5 %.", "Mortality fell by 5 %."),
    ("Aspirin reduces fever and pain. It may irritate the stomach.", "Aspirin reduces fever and pain."),
    ("Do not chew the tablets. Take the tablets with water.", "Take the tablets with water."),
    (
        "Metformin is not recommended in children. It is recommended in adults.",
        "Metformin is recommended in adults.",
    ),
    ("Some adverse events were seen in all patients.", "Adverse events were seen in all patients."),
    ("The first dose is given after 30 seconds.", "The first dose is given after 30 seconds."),
    ("Blood pressure was 120/80 mmHg.", "Blood pressure was 120/80 mmHg."),
    ("Take 500 mg of metformin twice a day.", "Take 500 mg of metformin twice daily."),
    ("Take one tablet of metformin.", "Take 1 tablet of metformin."),
    ("The level is 1.010 without treatment.", "The level is 1.01 without treatment."),
    ("It affects 1.000 people.", "It affects 1000 people."),
    (
        "Metformin and insulin are used in adults with diabetes.",
        "Insulin and metformin are used in adults with diabetes.",
    ),
    (
        "In adults with diabetes metformin lowers glucose.",
        "Metformin lowers glucose in adults with diabetes.",
    ),
    ("The trial showed no difference in mortality.", "There was no difference in mortality."),
    ("Take 5 ml every 8 hours.", "Take 5 ml every 8 hours."),
    ("The dose is 0,5 mg.", "The dose is 0.5 mg."),
    ("The drug was approved in May 2020.", "The drug was approved in May 2020."),
    ("Nausea, vomiting and headache were reported.", "Headache, vomiting and nausea were reported."),
];

#[test]
fn what_the_source_does_not_say_is_not_supported() {
    let wrong: Vec<_> = CHANGED.iter().filter(|(source, claim)| is_supported(source, claim)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_source_says_is_supported() {
    let wrong: Vec<_> = SAID.iter().filter(|(source, claim)| !is_supported(source, claim)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_sentence_of_a_source_supports_itself() {
    let all = CHANGED.iter().chain(SAID).flat_map(|(source, claim)| [source, claim]);
    let wrong: Vec<_> = all
        .filter(|text| quorate_runtime::sentences(text).len() == 1)
        .filter(|text| !is_supported(text, text))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
