"""The contract of a device: its config, its fingerprint, and rounds of any network."""

from __future__ import annotations

import getpass
import json
import socket
from typing import ClassVar

import pytest
import torch
from pydantic import BaseModel

from chronas.devices import Device
from chronas.errors import DeviceError, UsageError
from chronas.spaces import NetworkSize, Space, make_space

FIELDS = {"name", "hardware", "cores", "os", "runtime", "version", "threads", "batch", "dtype"}
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=3)


class DeviceContract:
    """Checks of one device.

    Attributes:
        device: the device class to check.
        config: its config; None means its defaults.
        spaces: spaces whose networks it must run.
        size: size of these networks.
    """

    device: ClassVar[type[Device]]
    config: ClassVar[BaseModel | None] = None
    spaces: ClassVar[tuple[Space, ...]] = (make_space("darts"), make_space("nasbench201"))
    size: ClassVar[NetworkSize] = SIZE

    @pytest.fixture
    def here(self) -> Device:
        """The device; the test is skipped if this machine does not have it."""
        reason = self.device.unavailable()
        if reason is not None:
            pytest.skip(f"{self.device.name} is not on this machine: {reason}")
        return self.device(self.config or self.device.Config())

    def test_it_is_there_or_says_why_not_in_one_line(self) -> None:
        """A device that is missing cannot be made."""
        reason = self.device.unavailable()
        if reason is None:
            assert isinstance(self.device(self.config or self.device.Config()), Device)
            return
        assert "\n" not in reason
        assert len(reason) > 20
        with pytest.raises(DeviceError, match=f"device {self.device.name} is not available"):
            self.device(self.config or self.device.Config())

    def test_every_setting_is_described_and_unknown_ones_are_refused(self) -> None:
        """Settings become flags, so each has a description and a default."""
        config = self.device.Config
        assert all(field.description and not field.is_required() for field in config.model_fields.values())
        assert config.model_config.get("frozen")
        assert config.model_config.get("extra") == "forbid"

    def test_another_devices_config_is_refused(self) -> None:
        """The error names the config that is taken."""

        class Other(BaseModel):
            pass

        if self.device.unavailable() is None:
            with pytest.raises(UsageError, match=f"device {self.device.name} takes a"):
                self.device(Other())

    def test_a_fingerprint_tells_the_device_but_not_its_owner(self, here: Device) -> None:
        """It is JSON, repeats, and has neither host nor user name."""
        fingerprint = here.fingerprint()
        assert fingerprint.keys() >= FIELDS
        assert fingerprint["name"] == here.name
        assert json.loads(json.dumps(fingerprint)) == fingerprint == here.fingerprint()
        words = {word for value in fingerprint.values() for word in str(value).lower().replace(",", " ").split()}
        assert not words & {socket.gethostname().lower(), getpass.getuser().lower()}
        assert here.hardware

    def test_a_prepared_network_gives_a_duration_for_each_repeat(self, here: Device) -> None:
        """The device's clock moves on by at least what was timed, and torch's random state stays as it was."""
        for space in self.spaces:
            before_s, random_state = here.now_s(), torch.get_rng_state()
            size = self.size.model_copy(update={"depth": min(self.size.depth, space.topology.small_depth)})
            runner = here.prepare(space.sample(1, seed=3)[0], size)
            assert runner.input_shape[1:] == self.size.input_shape
            samples_ms = runner.round(0, warmup=1, repeats=4)
            for warmup, repeats in ((0, 3), (3, 0)):
                with pytest.raises(UsageError, match="at least one warm-up and one timed run"):
                    runner.round(0, warmup, repeats)
            runner.close()
            assert len(samples_ms) == 4
            assert min(samples_ms) > 0
            assert here.now_s() - before_s >= sum(samples_ms) / 1000 * 0.99
            assert torch.equal(torch.get_rng_state(), random_state)
