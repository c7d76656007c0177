"""Four numbers with dots: versions, numbers of sections, and addresses, in sentences, tables and logs."""

from __future__ import annotations

import re

import pytest

from winnow.filters.personal.search import Wanted, search

WANTED = Wanted(frozenset({"ips"}))

VERSIONS = [
    "Holler Player 11.4.201.118 and earlier can crash.",
    "Kestrel 22.1.0.194, 22.1.1.138 and 22.2.0.183 are out.",
    "They upgraded from 11.2.202.235 to 11.2.202.240 last night.",
    "파란글 2020 11.0.0.203 에서 문제가 생기고, 참새압축 12.9.0.167 도 그렇다.",
    "pip install kestrel==1.2.3.104",
    "kestrel-1.2.3.104.tar.gz, setup 11.2.202.235.exe",
    "See section 12.3.4.110 and table 3.1.2.105.",
    'AssemblyVersion("11.2.202.235")',
    "참새톡 3.4.7.211 이상이 필요하다.",
    "qW Client 8.2.1.144 fixes a crash; Kestrel Database Server 12.0.4.199 does not.",
    "참새뷰어 호스트 15.2.27.156 설치 후 다시 시작하세요.",
    "Program | Current | Size\n9-Pack | 9.20.0.128 | 1 MB",
    "Portable Kestrel 3.6.13.201 and the attachment tool 5.10.0.116",
    "[프로그램] 참새플레이어 1.5.38.227",
    "This was fixed in 4.2.118.7 of the plugin.",
    "2.4.0.117 - first public beta",
    "쇼핑몰 관리 4.1.2.105, 리포트 모듈 4.1.3.118",
    "공인인증서 관리자 5.2.1.133",
]
ADDRESSES = [
    "The attacker came from 185.220.101.34 over ssh.",
    "Accepted password for root from 23.94.12.107 port 22",
    "23.94.12.107 - - [10/Oct/2000:13:55:36] GET /",
    "allow 23.94.12.107;",
    "listen 23.94.12.107:8080",
    "Blocked 23.94.12.107 for a day",
    "작성자 홍길동 (121.134.82.17)",
    "www IN A 23.94.12.107",
    "http://23.94.12.107/index.html",
    "Connection closed by 23.94.12.107",
    "Our Mail Server 5.9.211.130 was down, and so was the server 3.9.211.130.",
    "이 글은 24.60.2.118 사용자가 썼습니다.",
    "ㅇㅇ(1.11.51.122) 2019.02.03",
    "우리 서버 5.9.211.130 로 오세요",
    "The attacker used 4.16.201.39 and 4.16.201.40 as relays.",
    "| 홍길동 | 121.134.82.17 |",
    "로그인 기록: 27.5.90.144 서울",
]


@pytest.mark.parametrize("text", VERSIONS)
def test_versions_and_numbers_of_sections_are_no_addresses(text: str) -> None:
    assert search(text, WANTED) == []


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_in_logs_settings_and_prose(text: str) -> None:
    assert [found.kind for found in search(text, WANTED)] == ["ips"] * len(re.findall(r"\d+(?:\.\d+){3}", text))
