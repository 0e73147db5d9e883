"""What was kept and what was wasted, in words; and margins that seeds alone explain."""

from maskline.transform.learned import Learned, OfSeed


def history(*losses, seconds=2.0):
    return [{"val_loss": loss, "val_accuracy": 1 - loss, "seconds": seconds} for loss in losses]


def learned(*of_seeds, planned=12):
    given = enumerate(of_seeds)
    return Learned.best_of([OfSeed.of(n, history(*h), planned=planned, best=True) for n, h in given])


def test_an_early_best_epoch_wastes_what_comes_after_it():
    [said] = learned([0.5, 0.3, 0.4, 0.6, 0.9]).sentences()
    assert said == (
        "The weights of epoch 2 of 12 are kept; 3 epochs after it wasted 6.0 of 10.0 s, "
        "and early stopping saved 7 epochs."
    )


def test_nothing_is_wasted_where_the_last_epoch_is_kept():
    assert list(learned([0.5, 0.3], planned=2).sentences()) == [
        "The weights of epoch 2 of 2 are kept; no epoch was wasted."
    ]
    last = OfSeed.of(0, history(0.3, 0.5), planned=2, best=False)
    assert (last.epoch, last.loss, last.wasted) == (2, 0.5, 0)


def test_the_seed_of_the_lowest_loss_is_kept_and_the_spread_is_shown():
    found = learned([0.5, 0.30], [0.5, 0.20], [0.4, 0.25], planned=2)
    assert found.seed == 1
    assert list(found.sentences())[1] == (
        "Of 3 seeds, 1 has the lowest loss on the eval split, and its model is kept; over all seeds: loss "
        "0.2000 to 0.3000, accuracy 0.7000 to 0.8000 (standard deviations 0.0500 and 0.0500)."
    )
    assert "deviation" not in list(learned([0.3], [0.2]).sentences())[1]


def test_a_margin_that_seeds_alone_explain_is_named():
    found = learned([0.30], [0.20], [0.25])
    assert list(found.too_narrow({"margin": 0.151, "loss_margin": 0.1499})) == [
        "release_gate.loss_margin is 0.1499, and 3 standard deviations of the loss over seeds are 0.1500: "
        "another seed may be held back"
    ]
    assert not list(learned([0.9], [0.1]).too_narrow({"margin": 0, "loss_margin": 0}))
