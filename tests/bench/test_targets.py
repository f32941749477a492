"""What the figures have to reach: the table of the targets, judged on figures that are made up."""

from tests.bench.result import Result, Setting
from tests.bench.samples import Samples
from tests.bench.targets import Reached, Verdict, judged


def result(scenario: str, **figures: float) -> Result:
    setting = Setting(scenario=scenario, ground="loopback", size=1_000_000_000, degree=2, peers=3, repeats=1)
    made = Result(setting)
    made.samples.add(**figures)
    return made


def verdict(made: Result, work: str) -> Verdict:
    [found] = [each for each in judged(made) if each.work == work]
    return found


def plain(**figures: float) -> Result:
    usual = {
        "backup_mb_s": 300.0,
        "restore_mb_s": 500.0,
        "two_stores_write_mb_s": 1_000.0,
        "plain_write_mb_s": 1_000.0,
        "retransmitted": 0.0,
        "below_degree": 0.0,
    }
    return result("plain", **(usual | figures))


class TestPlain:
    def test_on_a_fast_disk_the_figures_are_absolute(self) -> None:
        backup, restore = verdict(plain(), "backup"), verdict(plain(), "restore")
        assert (backup.aim, backup.floor) == (400.0, 200.0)
        assert (restore.aim, restore.floor) == (650.0, 350.0)
        assert backup.reached is Reached.FLOOR

    def test_on_a_slow_disk_they_are_shares_of_what_it_does(self) -> None:
        made = plain(two_stores_write_mb_s=200.0, plain_write_mb_s=100.0, backup_mb_s=96.0, restore_mb_s=59.0)
        backup, restore = verdict(made, "backup"), verdict(made, "restore")
        assert (backup.aim, backup.floor) == (95.0, 50.0)
        assert (restore.aim, restore.floor) == (90.0, 60.0)
        assert backup.reached is Reached.AIM
        assert restore.reached is Reached.NEITHER

    def test_a_backup_with_too_few_copies_reaches_nothing_however_fast(self) -> None:
        made = plain(backup_mb_s=900.0, below_degree=1.0)
        assert verdict(made, "backup").reached is Reached.NEITHER

    def test_of_what_is_sent_again_less_is_better(self) -> None:
        for share, reached in ((0.0, Reached.AIM), (0.005, Reached.FLOOR), (0.05, Reached.NEITHER)):
            made = plain(retransmitted=share)
            assert verdict(made, "PUTCHUNKs sent again").reached is reached

    def test_the_most_memory_in_any_run_counts(self) -> None:
        made = plain(rss_mb=100.0)
        made.samples.add(rss_mb=260.0)
        made.samples.add(rss_mb=90.0)
        assert verdict(made, "most memory of any peer").reached is Reached.NEITHER


class TestOthers:
    def with_rsync(self, scenario: str, backup: float) -> Verdict:
        made = (
            plain(backup_mb_s=backup)
            if scenario == "plain"
            else result(scenario, backup_mb_s=backup, retransmitted=0.0, below_degree=0.0)
        )
        for name, theirs in (("uftp", 80.0), ("rsync", 100.0)):
            made.alternatives[name] = Samples()
            made.alternatives[name].add(backup_mb_s=theirs)
        return verdict(made, "backup beside rsync, the fastest of the others")

    def test_the_fastest_of_them_is_the_aim(self) -> None:
        assert self.with_rsync("plain", 101.0).reached is Reached.AIM

    def test_on_the_shaped_link_being_slower_is_below_the_floor_and_on_loopback_it_is_not(self) -> None:
        assert self.with_rsync("shaped", 99.0).reached is Reached.NEITHER
        assert self.with_rsync("plain", 99.0).reached is Reached.FLOOR

    def test_without_any_there_is_nothing_to_be_faster_than(self) -> None:
        assert not [each for each in judged(plain()) if "beside" in each.work]


class TestOtherScenarios:
    def test_the_bridge_is_judged_by_its_own_ceiling(self) -> None:
        made = result(
            "bridge", backup_mb_s=105.0, raw_multicast_mb_s=150.0, retransmitted=0.0, below_degree=0.0
        )
        assert verdict(made, "backup").reached is Reached.AIM

    def test_scarcity_may_cost_forty_seconds(self) -> None:
        for seconds, reached in ((44.0, Reached.AIM), (60.0, Reached.FLOOR), (65.0, Reached.NEITHER)):
            made = result("scarce", met_seconds=4.0, scarce_seconds=seconds)
            assert verdict(made, "time with one taker too few").reached is reached

    def test_initiators_share_what_one_has_and_none_is_starved(self) -> None:
        made = result(
            "four-initiators", one_mb_s=100.0, sum_mb_s=91.0, slowest_mb_s=20.0, fastest_mb_s=50.0, failed=0.0
        )
        assert verdict(made, "all initiators together").reached is Reached.AIM
        assert verdict(made, "slowest initiator").reached is Reached.FLOOR

    def test_if_one_of_the_files_fails_the_others_reach_nothing(self) -> None:
        made = result("small-files", files_s=2_000.0, below_degree=0.0, failed=1.0)
        assert verdict(made, "files backed up").reached is Reached.NEITHER

    def test_a_filled_store_may_cost_a_fifth_of_the_time(self) -> None:
        for backup, reached in ((101.0, Reached.AIM), (99.0, Reached.NEITHER)):
            made = result("filled", empty_backup_mb_s=120.0, backup_mb_s=backup)
            assert verdict(made, "backup").reached is reached
