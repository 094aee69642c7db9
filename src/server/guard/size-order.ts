/** An item with a size and a rank by size, both managed by its `SizeOrder`. */
export interface Sized {
  size: number;
  rank: number;
}

/**
 * Orders members by size, largest first. Sizes change by one at a time, so a member only swaps places with the one at
 * the edge of its equals, in constant time.
 */
export class SizeOrder<Member extends Sized> {
  readonly #members: Member[] = [];
  /** For each size, the number of larger members, which is where the members of that size start. */
  readonly #larger: number[] = [];

  /** The member of a rank, from 0 for the largest. */
  at(rank: number): Member | undefined {
    return this.#members[rank];
  }

  /** Increases a member's size by one. A member of size 0 is added. */
  grow(member: Member): void {
    if (member.size === 0) {
      member.rank = this.#members.length;
      this.#members.push(member);
    }
    const first = this.#larger[member.size] ?? 0;
    this.#moveTo(member, first);
    this.#larger[member.size] = first + 1;
    member.size += 1;
  }

  /** Decreases a member's size by one. A member that reaches 0 is removed. */
  shrink(member: Member): void {
    member.size -= 1;
    const last = (this.#larger[member.size] ?? 0) - 1;
    this.#moveTo(member, last);
    this.#larger[member.size] = last;
    if (member.size === 0) this.#members.pop();
  }

  #moveTo(member: Member, rank: number): void {
    const other = this.#members[rank];
    if (other === undefined || other === member) return;
    other.rank = member.rank;
    this.#members[other.rank] = other;
    member.rank = rank;
    this.#members[rank] = member;
  }
}
