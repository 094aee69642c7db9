const dayMs = 86_400_000;

/** The Modified Julian Date of a UTC date (month 1 to 12): days since 1858-11-17. */
export function modifiedJulianDate(year: number, month: number, day: number): number {
  return Math.floor(Date.UTC(year, month - 1, day) / dayMs) + 40_587;
}

/**
 * The daylight-saving code of NIST's daytime service for a UTC date (month 1 to 12): 0 during US standard time, 50
 * during US daylight time. From the first of a month with a change, it counts down the days until then: to 51 on the
 * second Sunday of March, and to 1 on the first Sunday of November.
 */
export function usDaylightCode(year: number, month: number, day: number): number {
  if (month === 3) {
    const change = firstSunday(year, month) + 7;
    return day > change ? 50 : 51 + change - day;
  }
  if (month === 11) {
    const change = firstSunday(year, month);
    return day > change ? 0 : 1 + change - day;
  }
  return month > 3 && month < 11 ? 50 : 0;
}

function firstSunday(year: number, month: number): number {
  const weekday = new Date(Date.UTC(year, month - 1, 1)).getUTCDay();
  return 1 + ((7 - weekday) % 7);
}
